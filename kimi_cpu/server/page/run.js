// A run of the agent as elements: the model's turns, their calls with results, and the questions that wait for an answer.

import { AssistantTurn, element, grow, readable } from "./view.js";

const EARLY = "The answer came early";
const NONE = "No answer";

/** A run that grows: call take(event) with each of its events. */
export class RunTurn {
  /** message: {run: {events}}, those so far. decide(call, name, action): called with what the user says to a call that waits. */
  constructor(message, decide) {
    this.message = message;
    this.decide = decide;
    this.steps = element("div");
    this.stats = element("p", { className: "stats" });
    this.actions = element("div", { className: "actions" });
    this.root = element("div", { className: "turn run" }, this.steps, this.stats, this.actions);
    this.calls = new Map();
    this.turn = null; // that of the model which is being generated
    for (const event of message.run.events) this.take(event);
  }

  take(event) {
    this[`on_${event.kind}`]?.(event);
  }

  /** The run is over, or nobody knows of it any more. */
  finish() {
    for (const card of this.calls.values()) card.leave();
    if (this.message.error) this.note(this.message.error, "error");
  }

  on_piece(event) {
    const { message } = (this.turn ??= this.begin());
    grow(message, event);
    const isThinking = Boolean(event.reasoning_content);
    if (message.is_thinking || isThinking) message.thinking_s = (performance.now() - message.beganMs) / 1000;
    message.is_thinking = isThinking;
    this.turn.update();
  }

  on_answered(event) {
    const turn = this.turn ?? this.begin();
    this.turn = null;
    const { tool_calls: calls, ...said } = event.message ?? {};
    const { thinking_s } = turn.message;
    turn.message = { ...said, thinking_s };
    turn.calls.replaceChildren();
    turn.finish(null);
    if (!event.message) turn.note("This turn was cut off, or empty, and is left out.");
    for (const [index, { function: call }] of (calls ?? []).entries()) {
      const card = new CallCard(call, (action) => this.decide(`${event.step}.${index}`, call.name, action));
      this.calls.set(`${event.step}.${index}`, card);
      turn.calls.append(card.root);
    }
  }

  on_waiting(event) {
    this.calls.get(event.call)?.ask();
  }

  on_called(event) {
    this.calls.get(event.call)?.say("runs");
  }

  on_returned(event) {
    this.calls.get(event.call)?.finish(event);
  }

  on_told(event) {
    this.turn?.root.remove(); // it was ended to say this
    this.turn = null;
    this.note(event.content);
  }

  on_notice(event) {
    this.note(event.text);
  }

  on_shortened(event) {
    this.note(`The context is nearly full: results of old calls are shortened (${event.calls.length}).`);
  }

  on_summarised(event) {
    const summary = element("summary", { textContent: "The context is nearly full: a summary stands for old turns" });
    this.steps.append(element("details", { className: "thinking" }, summary, element("div", { textContent: event.content })));
  }

  on_outcome(event) {
    this.turn?.finish(null);
    this.turn = null;
    const { steps, calls, computed_tokens: read, generated_tokens: written, seconds, reason } = event;
    if (reason !== "answered") this.note(`${event.content ? EARLY : NONE}: ${reason}.`);
    this.stats.textContent = `${steps} steps · ${calls} calls · ${read} tokens read, ${written} written · ${seconds.toFixed(1)} s`;
  }

  begin() {
    const turn = new AssistantTurn({ content: "", reasoning_content: "", beganMs: performance.now() });
    this.steps.append(turn.root);
    return turn;
  }

  note(text, kind = "note") {
    this.steps.append(element("p", { className: kind, textContent: text }));
  }
}

/** A call, folded unless it waits for consent. */
class CallCard {
  /** decide(action): "allow", "always" or "deny". */
  constructor(call, decide) {
    this.name = call.name;
    this.decide = decide;
    this.state = element("span", { className: "state" });
    this.question = element("div", { className: "question" });
    const short = element("code", { textContent: readable(call.arguments).replace(/\s+/g, " ") });
    const whole = element("pre", {}, element("code", { textContent: readable(call.arguments) }));
    const summary = element("summary", {}, element("b", { textContent: call.name }), " ", short, this.state);
    this.root = element("details", { className: "call" }, summary, whole, this.question);
  }

  say(state, kind = "") {
    this.question.replaceChildren();
    this.state.textContent = state;
    this.root.dataset.state = kind;
  }

  ask() {
    this.say("waits for you", "waiting");
    this.root.open = true;
    const choices = { allow: "Allow once", always: `Always allow ${this.name}`, deny: "Deny" };
    for (const [action, textContent] of Object.entries(choices)) {
      const button = element("button", { type: "button", textContent, className: action });
      button.addEventListener("click", () => this.decide(action));
      this.question.append(button);
    }
  }

  finish({ status, content, seconds }) {
    if (this.root.dataset.state === "waiting") this.root.open = false;
    this.say(status === "done" ? `${seconds.toFixed(1)} s` : status, status === "done" ? "done" : "failed");
    this.root.append(element("pre", { className: "result" }, element("code", { textContent: content })));
  }

  /** No result will come. */
  leave() {
    if (!["done", "failed"].includes(this.root.dataset.state)) this.say("no result", "failed");
  }
}
