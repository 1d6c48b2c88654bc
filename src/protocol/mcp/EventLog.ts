/**
 * The last events of one stream, for clients that come back with `Last-Event-ID` (mcp §2.3, §6.5). Numbers start at 1.
 * Mutable inside the session that owns it.
 */

/** One event. */
export interface LoggedEvent {
  readonly seq: number
  readonly data: Uint8Array
}

/** Keeps at most `EVENTS_MAX` events and `BYTES_MAX` bytes, but the newest in any case. */
export class EventLog {
  #events: Array<LoggedEvent> = []
  #sizeBytes = 0
  #lastSeq = 0

  /** Goes on after the events of an earlier life, oldest first. */
  constructor(events: ReadonlyArray<LoggedEvent> = [], lastSeq = 0) {
    this.#events = [...events]
    this.#sizeBytes = events.reduce((sum, { data }) => sum + data.length, 0)
    this.#lastSeq = Math.max(lastSeq, events.at(-1)?.seq ?? 0)
  }

  /** The number of the oldest event that is kept; the next one's if none is. */
  get firstSeq(): number {
    return this.#events[0]?.seq ?? this.#lastSeq + 1
  }

  /** A kept event. */
  at(seq: number): LoggedEvent | undefined {
    return this.#events[seq - this.firstSeq]
  }

  /** The number of the newest event; 0 before there is one. */
  get lastSeq(): number {
    return this.#lastSeq
  }

  /** What is kept. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Adds an event, and forgets what is too old or too much. */
  append(data: Uint8Array): LoggedEvent {
    const event = { seq: ++this.#lastSeq, data }
    this.#events.push(event)
    this.#sizeBytes += data.length
    while (this.#events.length > 1 && (this.#events.length > EVENTS_MAX || this.#sizeBytes > BYTES_MAX)) {
      this.#sizeBytes -= this.#events.shift()?.data.length ?? 0
    }
    return event
  }

  /** Those after a number, oldest first. */
  after(seq: number): ReadonlyArray<LoggedEvent> {
    return this.#events.filter((event) => event.seq > seq)
  }

  /** Bytes of those after a number. */
  bytesAfter(seq: number): number {
    return this.after(seq).reduce((sum, { data }) => sum + data.length, 0)
  }
}

/** The id of an event names its stream, because only that stream is resumed. */
export const formatId = (stream: number, seq: number): string => `${stream}-${seq}`

/** The stream and the number in an id; undefined for what is none. */
export const parseId = (text: string): { readonly stream: number; readonly seq: number } | undefined => {
  const [, stream, seq] = /^(\d{1,9})-(\d{1,9})$/.exec(text) ?? []
  return stream === undefined || seq === undefined ? undefined : { stream: Number(stream), seq: Number(seq) }
}

/** As the specification of the edge wants (mcp §6.5). */
const EVENTS_MAX = 1000
const BYTES_MAX = 4_194_304
