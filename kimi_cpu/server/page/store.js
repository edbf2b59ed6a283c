// What stays in this browser: conversations and settings.

const CONVERSATIONS = "kimi-cpu.conversations";
const SETTINGS = "kimi-cpu.settings";

function read(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** All conversations, the latest first: {id, title, messages}. */
export const conversations = read(CONVERSATIONS, []);

/** What differs from the defaults: system, temperature, max_tokens, think_budget, tools, key, theme; of the agent its token
 * (agent), the tools that need no consent (allowed), and withoutTools. */
export const settings = read(SETTINGS, {});

export function saveSettings() {
  localStorage.setItem(SETTINGS, JSON.stringify(settings));
}

/** Keeps all conversations; the oldest go when the browser has no more room. */
export function saveConversations() {
  for (;;) {
    try {
      localStorage.setItem(CONVERSATIONS, JSON.stringify(conversations));
      return;
    } catch (error) {
      if (conversations.length < 2) throw error;
      conversations.pop();
    }
  }
}

/** A new conversation at the top of the list. */
export function begin() {
  const conversation = { id: Date.now().toString(36) + Math.random().toString(36).slice(2, 6), title: "", messages: [] };
  conversations.unshift(conversation);
  return conversation;
}

export function remove(conversation) {
  conversations.splice(conversations.indexOf(conversation), 1);
  saveConversations();
}
