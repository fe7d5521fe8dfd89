/* The queue pages: read rq-dashboard's JSON, fill <template> rows. Everything is set as text, never as HTML. */
(function () {
  "use strict";

  var live = document.getElementById("live");
  if (!live) { return; }
  var page = live.dataset.page;
  var root = live.dataset.root;
  var token = document.querySelector("meta[name=csrf-token]").content;
  var trouble = document.getElementById("trouble");
  var shown = "";

  function say(words) {
    trouble.textContent = words;
    trouble.hidden = !words;
  }

  function ago(text) {
    var passed = (Date.now() - new Date(text).getTime()) / 1000;
    if (passed < 10) { return "just now"; }
    var units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
    for (var i = 0; i < units.length; i += 1) {
      var count = Math.floor(passed / units[i][0]);
      if (count >= 1) { return count + " " + units[i][1] + (count === 1 ? "" : "s") + " ago"; }
    }
    return "just now";
  }

  // One element's data-* attributes say which part of the answer it shows
  function fill(element, part) {
    var has = function (name) { return part[name] !== null && part[name] !== undefined && part[name] !== ""; };
    each(element, "[data-if]", function (found) { found.hidden = !has(found.dataset.if); });
    each(element, "[data-text]", function (found) {
      found.textContent = has(found.dataset.text) ? String(part[found.dataset.text]) : "–";
    });
    each(element, "[data-time]", function (found) {
      var value = part[found.dataset.time];
      found.textContent = value ? ago(value) : "–";
      if (value) { found.title = value; }
    });
    each(element, "[data-href]", function (found) {
      var address = part[found.dataset.href];
      if (address && address.indexOf("/") === 0 && address.indexOf("//") !== 0) { found.href = address; }
    });
    each(element, "[data-list]", function (found) {
      var states = part[found.dataset.listState] || [];
      found.textContent = "";
      (part[found.dataset.list] || []).forEach(function (id, index) {
        var line = document.createElement(states[index] === "active" ? "a" : "span");
        if (line.tagName === "A") { line.href = root + "0/view/job/" + encodeURIComponent(id); }
        line.textContent = id + (states[index] === "active" ? " " : " (gone) ");
        found.appendChild(line);
      });
    });
    each(element, "[data-post]", function (found) {
      found.addEventListener("click", function () { press(found, part[found.dataset.post]); });
    });
    each(element, "[data-if-failed]", function (found) { found.hidden = part.status !== "failed"; });
  }

  function each(element, selector, run) {
    element.querySelectorAll(selector).forEach(run);
  }

  function rows(parts) {
    var body = live.querySelector("tbody");
    var template = document.getElementById(parts.length ? "row" : "none");
    body.textContent = "";
    (parts.length ? parts : [{}]).forEach(function (part) {
      var row = template.content.cloneNode(true);
      fill(row, part);
      body.appendChild(row);
    });
  }

  function pager(found) {
    var box = document.getElementById("pager");
    box.textContent = "";
    [["prev_page", "‹ Back"], ["next_page", "Next ›"]].forEach(function (pair) {
      if (!found[pair[0]]) { return; }
      var link = document.createElement("a");
      link.className = "button";
      link.href = found[pair[0]].url;
      link.textContent = pair[1];
      box.appendChild(link);
    });
  }

  var show = {
    queues: function (answer) { rows(answer.queues); },
    workers: function (answer) {
      rows(answer.workers.map(function (worker) {
        var job = worker.current_job === "idle" ? null : worker.current_job;
        worker.doing = job ? job.description || job.job_id : "idle";
        worker.job_url = job ? root + "0/view/job/" + encodeURIComponent(job.job_id) : null;
        worker.queue_names = worker.queues.join(", ");
        return worker;
      }));
    },
    jobs: function (answer) {
      rows(answer.jobs.map(function (job) {
        var id = encodeURIComponent(job.id);
        job.url = root + "0/view/job/" + id;
        job.delete_url = root + "job/" + id + "/delete";
        job.requeue_url = root + "job/" + id + "/requeue";
        job.description = job.description || job.id;
        return job;
      }));
      pager(answer.pagination);
    },
    job: function (answer) { fill(live, answer); }
  };

  function load() {
    return fetch(live.dataset.url, { headers: { Accept: "application/json" }, credentials: "same-origin" })
      .then(function (answer) {
        return answer.json().then(function (told) {
          if (!answer.ok) { throw new Error(told.message || "The queue does not answer."); }
          return told;
        });
      })
      .then(function (told) {
        say("");
        var text = JSON.stringify(told);
        if (text === shown) { return; } // open details and the focus stay where they are
        shown = text;
        show[page](told);
      })
      .catch(function (error) { say(error.message || "The queue does not answer."); });
  }

  function press(button, address, sure) {
    var question = sure || button.dataset.sure;
    if (question && !window.confirm(question)) { return; }
    button.disabled = true;
    fetch(address, { method: "POST", headers: { "X-CSRFToken": token }, credentials: "same-origin" })
      .then(function (answer) {
        button.disabled = false;
        if (!answer.ok) { say("That did not work. Reload the page and try again."); return; }
        if (button.dataset.then) { window.location = button.dataset.then; return; }
        shown = "";
        load();
      })
      .catch(function () {
        button.disabled = false;
        say("There was no answer. Reload the page and try again.");
      });
  }

  each(document, "[data-post-now]", function (button) {
    button.addEventListener("click", function () { press(button, button.dataset.postNow); });
  });

  each(document, "[data-jobs]", function (form) {
    form.addEventListener("change", function () {
      var parts = [form.querySelector("#queue").value, form.querySelector("#registry").value,
        form.dataset.perPage, form.querySelector("#order").value, "1"];
      window.location = root + "0/view/jobs/" + parts.map(encodeURIComponent).join("/");
    });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
  });

  function loop() {
    var again = function () { setTimeout(loop, Number(live.dataset.poll)); };
    if (document.getElementById("refresh").checked && !document.hidden) { load().then(again); } else { again(); }
  }
  loop();
})();
