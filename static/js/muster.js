/* What cannot be done without a script: copying, keys, the caret, and dialogs where the browser lacks `commandfor`. */
"use strict";
(() => {
  const KEYS_OFF = "muster.keys.off";
  const keysOff = () => localStorage.getItem(KEYS_OFF) === "1";

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      source.focus();
      source.select?.();
      button.textContent = "Press Ctrl C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2500);
  };

  /* Single keys can be turned off (WCAG 2.1.4); the choice stays in this browser. */
  const tell = (hint) => {
    hint.hidden = false;
    hint.querySelectorAll("span").forEach((line) => { line.hidden = keysOff(); });
    hint.querySelector("[data-keys-switch]").textContent = keysOff() ? "Turn keys on" : "Turn keys off";
  };

  const reveal = (root) => {
    root.querySelectorAll("[data-copy], [data-js]").forEach((button) => { button.hidden = false; });
    root.querySelectorAll("[data-keys]").forEach(tell);
    root.querySelectorAll("form[data-count]").forEach(tally);
  };

  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

  const press = (event) => {
    if (keysOff() || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    /* On a link or a button, Enter is its own. */
    if (event.key === "Enter" && event.target.closest?.("a, button, summary, [tabindex]")?.matches("a, button, summary")) return;
    const key = CSS.escape(event.key.toLowerCase());
    const target = document.querySelector(`main [data-key="${key}"]:not([disabled])`)
      ?? document.querySelector(`[data-key="${key}"]:not([disabled])`);
    if (!target) return;
    event.preventDefault();
    /* What is marked so is reached by its key, and set off by a second one. */
    if (target.matches("input, textarea, select, [data-key-focus]")) target.focus();
    else target.click();
  };

  const turn = (hint) => {
    localStorage.setItem(KEYS_OFF, keysOff() ? "0" : "1");
    tell(hint);
  };

  const open = (button) => {
    if ("commandForElement" in HTMLButtonElement.prototype) return;
    const dialog = document.getElementById(button.getAttribute("commandfor"));
    if (button.getAttribute("command") === "show-modal") dialog?.showModal();
    if (button.getAttribute("command") === "close") dialog?.close();
  };

  /* A problem's link goes to its line as it is shown; with a script the caret goes to the place too. */
  const setCaret = (link) => {
    const area = document.getElementById("id_text");
    if (!area) return;
    const [line, column] = link.dataset.caret.split(":").map(Number);
    const before = area.value.split("\n").slice(0, line - 1);
    const place = before.reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
    area.focus();
    area.setSelectionRange(place, place);
  };

  /* A form whose buttons say how many are ticked, and one box that ticks all. */
  const tally = (form) => {
    const boxes = [...form.querySelectorAll("input[type=checkbox][name]")];
    const ticked = boxes.filter((box) => box.checked).length;
    form.querySelectorAll("[data-counted]").forEach((place) => { place.textContent = String(ticked); });
    form.querySelectorAll("[data-all]").forEach((all) => {
      all.hidden = false;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    });
  };

  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-count]");
    if (!form) return;
    if (event.target.matches("[data-all]")) {
      form.querySelectorAll("input[type=checkbox][name]").forEach((box) => { box.checked = event.target.checked; });
    }
    tally(form);
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-caret]");
    if (link) setCaret(link);
    const button = event.target.closest?.("button");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    if ("keysSwitch" in button.dataset) turn(button.closest("[data-keys]"));
    if (button.hasAttribute("commandfor")) open(button);
  });
  /* The admin's two-box chooser names its help icons, which only an image may have. */
  window.addEventListener("load", () => {
    document.querySelectorAll(".help-tooltip[aria-label]").forEach((icon) => icon.setAttribute("role", "img"));
  });
  document.addEventListener("keydown", press);
  document.addEventListener("htmx:load", (event) => reveal(event.target));
  document.addEventListener("DOMContentLoaded", () => {
    reveal(document);
    document.getElementById("errors")?.focus();
  });
})();
