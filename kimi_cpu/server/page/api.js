// The server, as the page uses it: streams of events (a chat completion, a run of the agent), and the few calls beside them.

/** An answer that is no 200: its message is the server's own. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function headers(key) {
  const all = { "Content-Type": "application/json" };
  if (key) all.Authorization = `Bearer ${key}`;
  return all;
}

async function checked(response) {
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new ApiError(response.status, body?.error?.message ?? `The server answered ${response.status}.`);
}

/** The name of the model that is served. */
export async function modelName(key) {
  const response = await checked(await fetch("v1/models", { headers: headers(key) }));
  return (await response.json()).data[0].id;
}

/** Ends the thinking of an answer, so that it answers now. */
export async function endThinking(id, key) {
  const body = JSON.stringify({ id, action: "reasoning_end" });
  await fetch("v1/chat/completions/control", { method: "POST", headers: headers(key), body });
}

/** Streams a chat completion; yields its chunks. Aborting the signal ends the answer on the server, too. */
export async function* chat(request, key, signal) {
  const body = JSON.stringify({ ...request, stream: true, return_progress: true });
  for await (const { data } of events("v1/chat/completions", { method: "POST", headers: headers(key), body, signal })) yield data;
}

/** The agent's routes: for who has the token of the link that the server printed. */
export class Agent {
  constructor({ key, agent }) {
    this.headers = { ...headers(key), "X-Agent-Token": agent ?? "" };
  }

  /** {data: tools, notices}; null where the server has no agent. */
  async tools() {
    const response = await fetch("v1/agent/tools", { headers: this.headers });
    return response.status === 404 ? null : (await checked(response)).json();
  }

  /** Begins a run and yields {data, id} of its events. The run goes on when the signal is aborted. */
  run(request, signal) {
    return events("v1/agent/runs", { method: "POST", headers: this.headers, body: JSON.stringify(request), signal });
  }

  /** The events of a run from a number on, as `run`. */
  follow(run, start, signal) {
    return events(`v1/agent/runs/${run}/events?start=${start}`, { headers: this.headers, signal });
  }

  /** Tells a run: allow, always or deny a call; answer_now; stop. */
  async order(run, action, call) {
    const body = JSON.stringify({ action, call });
    await checked(await fetch(`v1/agent/runs/${run}/control`, { method: "POST", headers: this.headers, body }));
  }
}

/** Yields {data, id} of a stream of server-sent events up to [DONE]. TypeError: the connection was lost, as fetch has it. */
async function* events(path, options) {
  const response = await checked(await fetch(path, options));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new TypeError("The connection ended before the answer did.");
    buffer += value;
    const found = buffer.split("\n\n");
    buffer = found.pop();
    for (const event of found) {
      const [, id, text] = /^(?:id: (\d+)\n)?data: (.*)$/.exec(event) ?? []; // else a comment that keeps the connection alive
      if (text === undefined) continue;
      if (text === "[DONE]") return;
      const data = JSON.parse(text);
      if (data.error) throw new ApiError(0, data.error.message);
      yield { data, id: Number(id) };
    }
  }
}
