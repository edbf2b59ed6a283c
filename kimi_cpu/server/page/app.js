// The page: one conversation on screen, one answer at a time.

import { Agent, ApiError, chat, endThinking, modelName } from "./api.js";
import { RunTurn } from "./run.js";
import { onSettings, openSettings, toggleTheme } from "./settings.js";
import { begin, conversations, remove, saveConversations, saveSettings, settings } from "./store.js";
import { AssistantTurn, grow, toolTurn, userTurn } from "./view.js";

const $ = (id) => document.getElementById(id);
const log = $("log");
const prompt = $("prompt");
const SENT = ["role", "content", "reasoning_content", "tool_calls", "tool_call_id"];
const SAVE_MS = 1000;
const RETRY_MS = 2000;

let conversation = null; // the one on screen
let running = null; // {controller, id} of the answer that is being generated
let offered = null; // {data, notices}: the tools of the server's agent, if it has one and lets this page use it

// Conversations

function open(chosen) {
  running?.controller.abort(); // a run goes on at the server
  conversation = chosen;
  log.replaceChildren();
  for (const message of chosen?.messages ?? []) show(message);
  list();
  scroll(true);
  $("sidebar").classList.remove("open");
  prompt.focus();
  const last = chosen?.messages.at(-1);
  if (last && isAtWork(last)) {
    log.lastChild.remove();
    work(last);
  }
}

function show(message) {
  if (message.role !== "assistant") {
    log.append((message.role === "tool" ? toolTurn : userTurn)(message));
    return;
  }
  message.is_thinking = false; // it was when the page was left
  const turn = message.run ? new RunTurn(message, () => {}) : new AssistantTurn(message);
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
        const last = each.messages.at(-1);
        if (last && isAtWork(last)) agent().order(last.run.id, "stop").catch(() => {});
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
  reply();
}

function reply() {
  if (offered && !settings.withoutTools) work(null);
  else answer();
}

function answerCalls(results) {
  for (const result of results) add(result);
  answer();
}

function retry() {
  conversation.messages.pop();
  open(conversation);
  reply();
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
  const messages = [];
  for (const message of conversation.messages) {
    const { outcome } = message.run ?? {};
    if (outcome?.replaces) messages.length = 0;
    if (message.run) messages.push(...(outcome?.messages ?? []).filter((m) => m.role !== "system"));
    else if (message.role !== "assistant" || message.content || message.tool_calls) // else it failed before it began
      messages.push(Object.fromEntries(SENT.filter((k) => message[k] != null).map((k) => [k, message[k]])));
  }
  if (settings.system) messages.unshift({ role: "system", content: settings.system });
  const body = { messages };
  for (const name of ["temperature", "max_tokens", "think_budget"]) if (settings[name] != null) body[name] = settings[name];
  return body;
}

async function answer() {
  const body = request();
  if (settings.tools?.length) body.tools = settings.tools;
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
    if (error instanceof ApiError && error.status === 401) openSettings(offered);
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
  if (chunk.prompt_progress) $("status").textContent = progress(chunk.prompt_progress);
  const choice = chunk.choices[0];
  if (!choice) return;
  const { reasoning_content: reasoning, content, tool_calls: calls } = choice.delta;
  if (reasoning || content || calls) state.tokens += 1;
  if (reasoning) {
    state.thinkingMs ??= performance.now();
    message.is_thinking = true;
  }
  if ((content || calls || choice.finish_reason) && message.is_thinking) endOfThinking(state);
  grow(message, choice.delta);
  if (chunk.timings) message.stats = stats(chunk.timings, choice.finish_reason);
}

function progress({ processed, total }) {
  return `Reading the prompt: ${Math.round((100 * processed) / total)} %`;
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

// Runs of the agent: they go on at the server when the page is left

function agent() {
  return new Agent(settings);
}

function isAtWork({ run, error }) {
  return Boolean(run?.id && !run.outcome && !error);
}

/** Begins a run, or goes on to show that of a message, in which the page was left. */
async function work(message) {
  const body = message ? null : { ...request(), allow: settings.allowed ?? [] };
  const mine = conversation;
  if (!message) {
    message = { role: "assistant", content: "", run: { id: null, events: [], next: 0, outcome: null } };
    mine.messages.push(message);
  }
  const { run } = message;
  const turn = new RunTurn(message, (call, name, action) => decide(run, call, name, action));
  log.append(turn.root);
  const state = { controller: new AbortController(), id: run.id, message };
  running = state;
  controls();
  const { signal } = state.controller;
  let { next } = run;
  for (;;) {
    try {
      const stream = run.id ? agent().follow(run.id, next, signal) : agent().run(body, signal);
      for await (const { data, id } of stream) {
        next = id + 1;
        keep(run, data, id);
        state.id = run.id;
        turn.take(data);
        if (data.kind === "progress") $("status").textContent = progress(data);
        scroll(false);
      }
    } catch (error) {
      if (error instanceof TypeError && run.id) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS)); // the connection was lost: the run goes on
        if (!signal.aborted) continue;
      } else if (error.name !== "AbortError") {
        message.error = error.status === 404 ? "The run has ended; the server does not know it any more." : error.message;
      }
    }
    break;
  }
  if (running === state) running = null;
  saveConversations();
  if (mine === conversation && !signal.aborted) finish(turn);
  controls();
  scroll(false);
}

/** Keeps an event for when the page is opened again; the pieces of a turn in progress come again then. */
function keep(run, event, id) {
  document.title = event.kind === "waiting" ? "Waiting · kimi-cpu" : "kimi-cpu";
  if (event.kind === "piece" || event.kind === "progress") return;
  if (event.kind === "run") run.id = event.id;
  if (event.kind === "outcome") run.outcome = event;
  run.events.push(event);
  run.next = id + 1;
  saveConversations();
}

async function decide(run, call, name, action) {
  if (action === "always") {
    settings.allowed = [...new Set([...(settings.allowed ?? []), name])];
    saveSettings();
  }
  await agent().order(run.id, action, call).catch((error) => ($("status").textContent = error.message));
}

function stop() {
  if (running?.message.run) agent().order(running.id, "stop").catch(() => running?.controller.abort());
  else running?.controller.abort();
}

function answerNow() {
  if (running?.message.run) agent().order(running.id, "answer_now").catch(() => {});
  else if (running?.id) endThinking(running.id, settings.key);
}

/** Which buttons there are now. */
function controls() {
  $("stop").hidden = !running;
  $("send").hidden = Boolean(running);
  $("answer-now").hidden = !(running?.message.is_thinking || running?.message.run);
  if (!running) $("status").textContent = "";
}

/** Follows the end of the log, unless the reader has scrolled away from it. */
function scroll(always) {
  const main = document.querySelector("main");
  if (always || main.scrollHeight - main.scrollTop - main.clientHeight < 120) main.scrollTop = main.scrollHeight;
}

// The server

async function connect() {
  try {
    $("model").textContent = await modelName(settings.key);
    await offer();
  } catch (error) {
    $("model").textContent = error.message;
    if (error.status === 401) openSettings(offered);
    else setTimeout(connect, RETRY_MS); // the model is loading
  }
}

/** Asks for the tools of the server's agent, if this browser ever had its token. */
async function offer() {
  if (!settings.agent) return;
  let notices = [];
  try {
    offered = await agent().tools();
    notices = offered?.notices ?? [];
  } catch (error) {
    if (error.status !== 401) throw error; // the servers of the tools are starting
    offered = null;
    notices = [error.message];
  }
  $("with-tools").hidden = !offered;
  $("agent").hidden = !offered && !notices.length;
  $("notices").textContent = notices.join("\n");
}

/** Takes the agent's token out of the link that the server printed. */
function takeToken() {
  const found = /^#agent=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  settings.agent = found[1];
  saveSettings();
  history.replaceState(null, "", location.pathname + location.search);
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
$("answer-now").addEventListener("click", answerNow);
$("with-tools").firstElementChild.addEventListener("change", (event) => {
  settings.withoutTools = !event.target.checked;
  saveSettings();
});
addEventListener("hashchange", () => {
  takeToken();
  connect();
});
$("new").addEventListener("click", () => open(null));
$("theme").addEventListener("click", toggleTheme);
$("settings-open").addEventListener("click", () => openSettings(offered));
onSettings(connect);
$("menu").addEventListener("click", () => {
  $("menu").setAttribute("aria-expanded", $("sidebar").classList.toggle("open"));
});
if (settings.theme) document.documentElement.dataset.theme = settings.theme;
$("with-tools").firstElementChild.checked = !settings.withoutTools;
takeToken();
open(conversations[0] ?? null);
connect();
