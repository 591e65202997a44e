// Server-sent events (HTML standard, 9.2) out of a fetch response: an EventSource can carry no token.

export interface Message {
  event: string;
  data: string;
  /** The newest id the stream has given so far. */
  id: string;
}

const LINE_BYTES_MAX = 16 << 20;

/** Takes the stream's text in any pieces and gives its messages. */
export class Parser {
  private rest = '';
  private event = '';
  private data: string[] = [];
  private id = '';

  constructor(private readonly give: (message: Message) => void) {}

  push(text: string): void {
    this.rest += text;
    // A carriage return at the end may be the first half of a line's end.
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    if (this.rest.length > LINE_BYTES_MAX) throw new Error('the node sent a line without an end');
    for (const line of lines) this.line(line);
  }

  private line(line: string): void {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.id = value;
  }

  private dispatch(): void {
    const message = { event: this.event || 'message', data: this.data.join('\n'), id: this.id };
    const empty = this.data.length === 0;
    this.event = '';
    this.data = [];
    if (!empty) this.give(message);
  }
}

/** Reads a response's messages until it ends. `alive` is called for whatever comes, a comment too. */
export async function read(response: Response, give: (message: Message) => void, alive: () => void): Promise<void> {
  if (!response.body) throw new Error('the node answered without a body');
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new Parser(give);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    parser.push(decoder.decode(value, { stream: true }));
  }
}
