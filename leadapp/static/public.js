// The copy button of the snippet. Without JavaScript it stays hidden and the text can be selected.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  const select = () => getSelection().selectAllChildren(source);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      select(); // no clipboard on plain http: the text is marked, ready for Ctrl+C
      button.textContent = "Marked: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = label), 4000);
  });
}
