// The page: one conversation on screen, one answer at a time.

import { ApiError, chat, endThinking, modelName } from "./api.js";
import { begin, conversations, remove, saveConversations, saveSettings, settings } from "./store.js";
import { AssistantTurn, toolTurn, userTurn } from "./view.js";

const $ = (id) => document.getElementById(id);
const log = $("log");
const prompt = $("prompt");
const SENT = ["role", "content", "reasoning_content", "tool_calls", "tool_call_id"];
const SAVE_MS = 1000;

let conversation = null; // the one on screen
let running = null; // {controller, id} of the answer that is being generated

// Conversations

function open(chosen) {
  stop();
  conversation = chosen;
  log.replaceChildren();
  for (const message of chosen?.messages ?? []) show(message);
  list();
  scroll(true);
  $("sidebar").classList.remove("open");
  prompt.focus();
}

function show(message) {
  if (message.role !== "assistant") {
    log.append((message.role === "tool" ? toolTurn : userTurn)(message));
    return;
  }
  message.is_thinking = false; // it was when the page was left
  const turn = new AssistantTurn(message);
  log.append(turn.root);
  finish(turn);
}

function finish(turn) {
  const { messages } = conversation;
  const isLast = messages.at(-1) === turn.message;
  turn.finish(isLast && turn.message.tool_calls?.length ? answerCalls : null);
  turn.actions.replaceChildren();
  if (isLast) turn.actions.append(button("Retry", retry));
}

function list() {
  $("conversations").replaceChildren(
    ...conversations.map((each) => {
      const item = document.createElement("li");
      item.classList.toggle("current", each === conversation);
      const opener = button(each.title || "Untitled", () => open(each));
      opener.className = "open";
      const deleter = button("×", () => {
        remove(each);
        if (each === conversation) open(null);
        else list();
      });
      deleter.className = "delete";
      deleter.setAttribute("aria-label", `Delete ${each.title}`);
      item.append(opener, deleter);
      return item;
    }),
  );
}

function button(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

// Asking

function ask(text) {
  if (!conversation) conversation = begin();
  conversation.title ||= text.slice(0, 60);
  add({ role: "user", content: text });
  answer();
}

function answerCalls(results) {
  for (const result of results) add(result);
  answer();
}

function retry() {
  conversation.messages.pop();
  open(conversation);
  answer();
}

function add(message) {
  for (const old of log.querySelectorAll(".actions, .call label, .calls > button")) old.replaceChildren();
  conversation.messages.push(message);
  show(message);
  saveConversations();
  list();
  scroll(true);
}

function request() {
  const messages = conversation.messages
    .filter((m) => m.role !== "assistant" || m.content || m.tool_calls) // an answer that failed before it began
    .map((m) => Object.fromEntries(SENT.filter((k) => m[k] != null).map((k) => [k, m[k]])));
  if (settings.system) messages.unshift({ role: "system", content: settings.system });
  const body = { messages };
  for (const name of ["temperature", "max_tokens", "think_budget"]) if (settings[name] != null) body[name] = settings[name];
  if (settings.tools?.length) body.tools = settings.tools;
  return body;
}

async function answer() {
  const body = request();
  const message = { role: "assistant", content: "", reasoning_content: "" };
  conversation.messages.push(message);
  const mine = conversation;
  const turn = new AssistantTurn(message);
  log.append(turn.root);
  const state = { controller: new AbortController(), id: null, message, startedMs: performance.now(), tokens: 0 };
  running = state;
  controls();
  const clock = setInterval(() => tick(turn, state), 250);
  const saver = setInterval(saveConversations, SAVE_MS);
  try {
    for await (const chunk of chat(body, settings.key, state.controller.signal)) {
      take(chunk, state);
      turn.update();
      scroll(false);
    }
  } catch (error) {
    if (error.name !== "AbortError") message.error = error.message;
    else message.stats = "Stopped.";
    if (error instanceof ApiError && error.status === 401) $("settings").showModal();
  }
  clearInterval(clock);
  clearInterval(saver);
  if (message.is_thinking) endOfThinking(state);
  if (!message.reasoning_content) delete message.reasoning_content;
  if (running === state) running = null;
  saveConversations();
  if (mine === conversation) finish(turn);
  controls();
  scroll(false);
}

/** Adds a chunk to the message. */
function take(chunk, state) {
  const { message } = state;
  state.id = chunk.id;
  const progress = chunk.prompt_progress;
  if (progress) $("status").textContent = `Reading the prompt: ${Math.round((100 * progress.processed) / progress.total)} %`;
  const choice = chunk.choices[0];
  if (!choice) return;
  const { reasoning_content: reasoning, content, tool_calls: calls } = choice.delta;
  if (reasoning || content || calls) state.tokens += 1;
  if (reasoning) {
    state.thinkingMs ??= performance.now();
    message.is_thinking = true;
    message.reasoning_content += reasoning;
  }
  if ((content || calls || choice.finish_reason) && message.is_thinking) endOfThinking(state);
  if (content) message.content += content;
  for (const call of calls ?? []) {
    message.tool_calls ??= [];
    if (call.id) message.tool_calls[call.index] = { id: call.id, type: "function", function: { ...call.function } };
    else message.tool_calls[call.index].function.arguments += call.function.arguments;
  }
  if (chunk.timings) message.stats = stats(chunk.timings, choice.finish_reason);
}

function endOfThinking(state) {
  state.message.thinking_s = (performance.now() - state.thinkingMs) / 1000;
  state.message.is_thinking = false;
}

function stats(timings, reason) {
  const parts = [`${timings.predicted_n} tokens`, `${timings.predicted_per_second.toFixed(1)} tokens/s`];
  parts.push(`prompt ${timings.prompt_n + timings.cache_n} tokens (${timings.cache_n} cached) in ${(timings.prompt_ms / 1000).toFixed(1)} s`);
  if (reason === "length") parts.push("cut short by the limit of tokens");
  return parts.join(" · ");
}

function tick(turn, state) {
  const { message } = state;
  if (message.is_thinking) {
    message.thinking_s = (performance.now() - state.thinkingMs) / 1000;
    turn.showTime();
  }
  if (state.tokens) {
    state.firstMs ??= performance.now();
    const seconds = (performance.now() - state.firstMs) / 1000;
    if (seconds > 0.5) $("status").textContent = `${(state.tokens / seconds).toFixed(1)} tokens/s`;
  }
  controls();
}

function stop() {
  running?.controller.abort();
}

/** Which buttons there are now. */
function controls() {
  $("stop").hidden = !running;
  $("send").hidden = Boolean(running);
  $("answer-now").hidden = !running?.message.is_thinking;
  if (!running) $("status").textContent = "";
}

/** Follows the end of the log, unless the reader has scrolled away from it. */
function scroll(always) {
  const main = document.querySelector("main");
  if (always || main.scrollHeight - main.scrollTop - main.clientHeight < 120) main.scrollTop = main.scrollHeight;
}

// Settings

function openSettings() {
  const form = $("settings").querySelector("form");
  for (const name of ["system", "temperature", "max_tokens", "think_budget", "key"]) form[name].value = settings[name] ?? "";
  form.tools.value = settings.tools ? JSON.stringify(settings.tools, null, 1) : "";
  $("settings-error").textContent = "";
  $("settings").showModal();
}

function keepSettings(event) {
  if (event.submitter?.value !== "save") return;
  const form = event.target;
  try {
    settings.tools = form.tools.value.trim() ? JSON.parse(form.tools.value) : undefined;
    if (settings.tools && !Array.isArray(settings.tools)) throw new Error("not a list");
  } catch (error) {
    event.preventDefault();
    $("settings-error").textContent = `Tools are no JSON list (${error.message}).`;
    return;
  }
  for (const name of ["temperature", "max_tokens", "think_budget"]) settings[name] = form[name].value === "" ? undefined : Number(form[name].value);
  settings.system = form.system.value || undefined;
  settings.key = form.key.value || undefined;
  saveSettings();
  connect();
}

function toggleTheme() {
  const isDark = settings.theme ? settings.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  settings.theme = isDark ? "light" : "dark";
  document.documentElement.dataset.theme = settings.theme;
  saveSettings();
}

async function connect() {
  try {
    $("model").textContent = await modelName(settings.key);
  } catch (error) {
    $("model").textContent = error.message;
    if (error.status === 401) openSettings();
    else setTimeout(connect, 2000); // the model is loading
  }
}

// Wiring

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = prompt.value.trim();
  if (!text || running) return;
  prompt.value = "";
  prompt.style.height = "";
  ask(text);
});
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("form").requestSubmit();
  }
});
prompt.addEventListener("input", () => {
  prompt.style.height = "auto";
  prompt.style.height = `${prompt.scrollHeight}px`;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("settings").open) stop();
  if (event.key === "O" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    open(null);
  }
});
$("stop").addEventListener("click", stop);
$("answer-now").addEventListener("click", () => running?.id && endThinking(running.id, settings.key));
$("new").addEventListener("click", () => open(null));
$("theme").addEventListener("click", toggleTheme);
$("settings-open").addEventListener("click", openSettings);
$("settings").querySelector("form").addEventListener("submit", keepSettings);
$("menu").addEventListener("click", () => {
  $("menu").setAttribute("aria-expanded", $("sidebar").classList.toggle("open"));
});
if (settings.theme) document.documentElement.dataset.theme = settings.theme;
open(conversations[0] ?? null);
connect();
