// Turns of a conversation as elements.

import { render } from "./markdown.js";

const RENDER_MS = 80;

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** What the user wrote. */
export function userTurn(message) {
  return element("div", { className: "turn user", textContent: message.content });
}

/** The result of a tool. */
export function toolTurn(message) {
  const result = element("pre", {}, element("code", { textContent: message.content }));
  return element("div", { className: "turn tool" }, element("p", { className: "note", textContent: `Result of ${message.tool_call_id}` }), result);
}

/** An assistant's turn that can grow: call update() after its message has changed, finish() at its end. */
export class AssistantTurn {
  constructor(message) {
    this.message = message;
    this.summary = element("summary", { textContent: "Thinking" });
    this.thoughts = element("div");
    this.thinking = element("details", { className: "thinking", hidden: true }, this.summary, this.thoughts);
    this.content = element("div", { className: "content" });
    this.calls = element("div", { className: "calls" });
    this.stats = element("p", { className: "stats" });
    this.actions = element("div", { className: "actions" });
    this.root = element("div", { className: "turn assistant" }, this.thinking, this.content, this.calls, this.stats, this.actions);
    this.renderedMs = 0;
    this.timer = 0;
  }

  /** Shows what there is now; the rendering of Markdown is left to a timer when it was done a moment ago. */
  update() {
    const { reasoning_content: reasoning, content } = this.message;
    this.thinking.hidden = !reasoning;
    if (this.thoughts.textContent.length !== (reasoning ?? "").length) this.thoughts.textContent = reasoning ?? "";
    this.showTime();
    const waitMs = this.renderedMs + RENDER_MS - performance.now();
    if (content && waitMs <= 0) this.renderContent(false);
    else if (content && !this.timer) this.timer = setTimeout(() => this.renderContent(false), waitMs);
    this.showCalls(null);
  }

  /** Shows the turn for good. answer(results): called with the results that the user gives for its tool calls. */
  finish(answer) {
    this.renderContent(true);
    this.update();
    this.showTime();
    this.showCalls(answer);
    this.stats.textContent = this.message.stats ?? "";
    if (this.message.error) this.note(this.message.error, "error");
  }

  note(text, kind = "note") {
    this.root.append(element("p", { className: kind, textContent: text }));
  }

  showTime() {
    const { thinking_s: seconds, is_thinking: isThinking } = this.message;
    const time = seconds === undefined ? "" : seconds < 1 ? "less than 1 s" : `${Math.round(seconds)} s`;
    this.summary.textContent = isThinking ? `Thinking ${time}` : time ? `Thought for ${time}` : "Thoughts";
  }

  renderContent(isDone) {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.isDone) return;
    this.isDone = isDone;
    render(this.content, this.message.content ?? "", isDone);
    this.renderedMs = performance.now();
  }

  showCalls(answer) {
    const calls = this.message.tool_calls ?? [];
    if (!calls.length) return;
    this.calls.replaceChildren(...calls.map((call) => callCard(call, answer)));
    if (!answer) return;
    const send = element("button", { textContent: "Send results" });
    send.addEventListener("click", () => {
      const fields = [...this.calls.querySelectorAll("textarea")];
      answer(calls.map((call, i) => ({ role: "tool", tool_call_id: call.id, content: fields[i].value })));
    });
    this.calls.append(send);
  }
}

/** Arguments of a call to be read by a person: nothing in them is invisible, or turns the direction of the text. */
export function readable(text) {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // not complete yet, or not JSON: shown as it is
  }
  return shown.replace(/[^\P{C}\n]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** Adds a delta of the model's turn, its texts and pieces of its calls, to the message. */
export function grow(message, { reasoning_content: reasoning, content, tool_calls: calls }) {
  if (reasoning) message.reasoning_content += reasoning;
  if (content) message.content += content;
  for (const call of calls ?? []) {
    message.tool_calls ??= [];
    if (call.id) message.tool_calls[call.index] = { id: call.id, type: "function", function: { ...call.function } };
    else message.tool_calls[call.index].function.arguments += call.function.arguments;
  }
}

function callCard(call, answer) {
  const card = element(
    "section",
    { className: "call" },
    element("h3", { textContent: `Calls ${call.function.name}` }),
    element("pre", {}, element("code", { textContent: readable(call.function.arguments) })),
  );
  if (answer) card.append(element("label", {}, "Its result ", element("textarea", { rows: 2 })));
  return card;
}
