/* What the admin does beyond plain HTML: copy buttons, choosing rows, one press of a button. All of it may fail. */
(function () {
  "use strict";

  function each(selector, run) {
    document.querySelectorAll(selector).forEach(run);
  }

  // Copy buttons
  function copied(button) {
    var word = button.textContent;
    button.textContent = "Copied";
    setTimeout(function () { button.textContent = word; }, 2000);
  }

  function select(element) {
    var range = document.createRange();
    range.selectNodeContents(element);
    var chosen = window.getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
  }

  each("[data-copy]", function (button) {
    button.addEventListener("click", function () {
      var source = document.getElementById(button.dataset.copy);
      if (navigator.clipboard) {
        navigator.clipboard.writeText(source.textContent).then(
          function () { copied(button); },
          function () { select(source); }
        );
      } else {
        select(source); // no clipboard without https: one press of Ctrl C is left to do
      }
    });
  });

  // Choosing rows
  var picks = Array.prototype.slice.call(document.querySelectorAll("input[name=rowid][form=rows]"));
  var all = document.querySelector("[data-pick-all]");
  var bar = document.querySelector("[data-actions]");

  function count() {
    var chosen = picks.filter(function (pick) { return pick.checked; }).length;
    var said = document.querySelector("[data-picked]");
    said.textContent = chosen ? chosen + (chosen === 1 ? " row:" : " rows:") : "Choose rows to";
    bar.querySelectorAll("button").forEach(function (button) { button.disabled = chosen === 0; });
    if (all) {
      all.checked = chosen > 0 && chosen === picks.length;
      all.indeterminate = chosen > 0 && chosen < picks.length;
    }
  }

  if (bar) {
    picks.forEach(function (pick) { pick.addEventListener("change", count); });
    if (all) {
      all.addEventListener("change", function () {
        picks.forEach(function (pick) { pick.checked = all.checked; });
        count();
      });
    }
    count();
    window.addEventListener("pageshow", count);
  }

  // Filters: empty fields stay out of the address; on wide screens they are always open
  each("[data-filters]", function (form) {
    form.addEventListener("submit", function () {
      form.querySelectorAll("input, select").forEach(function (field) { field.disabled = field.value === ""; });
    });
    window.addEventListener("pageshow", function () {
      form.querySelectorAll("input, select").forEach(function (field) { field.disabled = false; });
    });
  });

  // On a phone the filters of a list stay folded until somebody wants them
  var isPhone = window.matchMedia && window.matchMedia("(max-width: 45rem)").matches;
  if (isPhone) {
    each("details[data-fold]", function (folded) { folded.open = false; });
  }

  // Rows that are shown as cards stay a table for those who hear it
  each("table", function (table) {
    var roles = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
    [table].concat(Array.prototype.slice.call(table.querySelectorAll("thead, tbody, tr, th, td"))).forEach(function (part) {
      var role = part.tagName === "TH" ? (part.scope === "row" ? "rowheader" : "columnheader") : roles[part.tagName];
      part.setAttribute("role", role);
    });
  });

  // A form asks only for what its kind of destination needs
  each("select[data-kinds]", function (select) {
    function fit() {
      each("[data-only-for]", function (field) {
        var box = field.closest(".field"); // a fault is shown, whatever is chosen
        box.hidden = field.dataset.onlyFor.split(" ").indexOf(select.value) < 0 && !box.classList.contains("has-error");
      });
    }
    select.addEventListener("change", fit);
    window.addEventListener("pageshow", fit);
    fit();
  });

  // A second press must not send twice
  each("form[data-once]", function (form) {
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) { event.preventDefault(); }
      form.dataset.sent = "yes";
    });
    window.addEventListener("pageshow", function () { delete form.dataset.sent; });
  });
})();
