// The settings of this browser, and their dialog.

import { saveSettings, settings } from "./store.js";
import { element } from "./view.js";

const dialog = document.getElementById("settings");
const form = dialog.querySelector("form");
const error = document.getElementById("settings-error");
const NUMBERS = ["temperature", "max_tokens", "think_budget"];

/** Shows the dialog. offered: the tools of the server's agent, or null. */
export function openSettings(offered) {
  for (const name of ["system", ...NUMBERS, "key"]) form[name].value = settings[name] ?? "";
  form.tools.value = settings.tools ? JSON.stringify(settings.tools, null, 1) : "";
  document.getElementById("allowed").replaceChildren(...(offered?.data ?? []).map(consent));
  error.textContent = "";
  dialog.showModal();
}

/** Calls kept() whenever settings have been saved. */
export function onSettings(kept) {
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "save" && keep(event)) kept();
  });
}

export function toggleTheme() {
  const isDark = settings.theme ? settings.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  settings.theme = isDark ? "light" : "dark";
  document.documentElement.dataset.theme = settings.theme;
  saveSettings();
}

/** A box for a tool of the agent: whether it may be called without a question. */
function consent(tool) {
  const checked = tool.allowed || (settings.allowed ?? []).includes(tool.name);
  const box = element("input", { type: "checkbox", name: "allowed", value: tool.name, checked, disabled: tool.allowed });
  const name = tool.read_only ? `${tool.name} (says that it only reads)` : tool.name;
  return element("label", { title: tool.description }, box, " ", name);
}

function keep(event) {
  try {
    settings.tools = form.tools.value.trim() ? JSON.parse(form.tools.value) : undefined;
    if (settings.tools && !Array.isArray(settings.tools)) throw new Error("not a list");
  } catch (wrong) {
    event.preventDefault();
    error.textContent = `Tools are no JSON list (${wrong.message}).`;
    return false;
  }
  for (const name of NUMBERS) settings[name] = form[name].value === "" ? undefined : Number(form[name].value);
  settings.system = form.system.value || undefined;
  settings.key = form.key.value || undefined;
  const boxes = [...form.querySelectorAll("#allowed input:enabled")];
  if (boxes.length) settings.allowed = boxes.filter((box) => box.checked).map((box) => box.value);
  saveSettings();
  return true;
}
