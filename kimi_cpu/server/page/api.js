// The server, as the page uses it: one streamed chat completion, and the few calls beside it.

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
  const response = await checked(await fetch("v1/chat/completions", { method: "POST", headers: headers(key), body, signal }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new ApiError(0, "The connection ended before the answer did.");
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ")) continue; // a comment that keeps the connection alive
      const data = event.slice(6);
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ApiError(0, chunk.error.message);
      yield chunk;
    }
  }
}
