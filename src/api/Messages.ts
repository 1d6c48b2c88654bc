/**
 * Messages to peers and from them (`docs/messages-and-files.md`). What a peer acknowledged is on its disk; what has come is
 * in the inbox of this node until it is cleared, whether a program looks or not.
 */
import { Context, Duration, Effect, FileSystem, Layer, Schedule, type Scope, Stream } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import * as MessageStreams from "../actors/services/client/MessageStreams.ts"
import * as SendMessage from "../actors/services/client/SendMessage.ts"
import type { TransferError } from "../actors/services/client/TransferError.ts"
import * as DataExchange from "../actors/services/DataExchange.ts"
import * as Mailbox from "../actors/services/Mailbox.ts"
import * as Bytes from "../core/data/Bytes.ts"
import { Pilot, type PilotError } from "./PilotService.ts"

export { TransferError } from "../actors/services/client/TransferError.ts"
export { MailboxError } from "../actors/services/Mailbox.ts"

/** What a message says: a text, bytes, or any value that JSON has a form for. */
export type Content = { readonly text: string } | { readonly bytes: Uint8Array } | { readonly json: unknown }

/** A message of a peer. */
export interface Message {
  /** Unique in this inbox. */
  readonly id: string
  /** `0:0000.0000.0002`. */
  readonly from: string
  readonly kind: "text" | "json" | "binary"
  readonly data: Uint8Array
  /** The data as text; what is no UTF-8 is replaced. */
  readonly text: string
  readonly receivedAt: Date
}

/** What became of a message. */
export interface Sent {
  /** `ACK TEXT 5 bytes`; none when the peer closed without a word, as very old ones may. */
  readonly ack: string | undefined
  readonly sizeBytes: number
}

/** How a message is sent. */
export interface SendOptions {
  /** For the acknowledgement; 30 s unless told otherwise. */
  readonly timeout?: Duration.Input
}

/** The inbox of a node, and the way to those of its peers. */
export class Messages extends Context.Service<
  Messages,
  {
    readonly send: (
      target: string,
      content: Content,
      options?: SendOptions
    ) => Effect.Effect<Sent, DialError | PilotError | TransferError>
    /** What is in the inbox, the oldest first. */
    readonly inbox: Effect.Effect<ReadonlyArray<Message>, Mailbox.MailboxError>
    /** Takes all messages away; how many there were. */
    readonly clear: Effect.Effect<number, Mailbox.MailboxError>
    /** What is in the inbox and what comes, each once, until interrupted; looked for twice a second. */
    readonly incoming: Stream.Stream<Message, Mailbox.MailboxError>
  }
>()("effect-pilot/api/Messages") {}

/** Over any `Pilot`, with the state directory of its node. */
export const make = Effect.fnUntraced(function* (
  home: string
): Effect.fn.Return<Messages["Service"], never, FileSystem.FileSystem | Pilot | Scope.Scope> {
  const pilot = yield* Pilot
  const files = yield* FileSystem.FileSystem
  const streams = yield* MessageStreams.make((target) =>
    Effect.map(pilot.dial(target, DataExchange.PORT), ({ duplex }) => duplex)
  )
  const onDisk = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem>) =>
    Effect.provideService(effect, FileSystem.FileSystem, files)
  const inbox: Inbox = (isWanted) =>
    Effect.map(onDisk(Mailbox.messages(home, isWanted)), (stored) =>
      (stored ?? []).map(toMessage).toSorted((a, b) => (arrivalOf(a.id) < arrivalOf(b.id) ? -1 : 1))
    )
  return {
    send: Effect.fn("Messages.send")(function* (target, content, options) {
      const { kind, payload } = encoded(content)
      const timeoutMs = Duration.toMillis(Duration.fromInputUnsafe(options?.timeout ?? SendMessage.ACK_TIMEOUT_MS))
      return { ack: yield* streams.send(target, kind, payload, timeoutMs), sizeBytes: payload.length }
    }),
    inbox: inbox(),
    clear: Effect.map(onDisk(Mailbox.clearMessages(home)), (cleared) => cleared ?? 0),
    incoming: arriving(inbox)
  }
})

/** See `Messages`. */
export const send = (
  target: string,
  content: Content,
  options?: SendOptions
): Effect.Effect<Sent, DialError | PilotError | TransferError, Messages> =>
  Effect.flatMap(Messages, (messages) => messages.send(target, content, options))

/** See `Messages`. */
export const inbox: Effect.Effect<ReadonlyArray<Message>, Mailbox.MailboxError, Messages> = Effect.flatMap(
  Messages,
  (messages) => messages.inbox
)

/** See `Messages`. */
export const clear: Effect.Effect<number, Mailbox.MailboxError, Messages> = Effect.flatMap(
  Messages,
  (messages) => messages.clear
)

/** See `Messages`. */
export const incoming: Stream.Stream<Message, Mailbox.MailboxError, Messages> = Stream.unwrap(
  Effect.map(Messages, (messages) => messages.incoming)
)

/** The service for a state directory. */
export const layer = (home: string): Layer.Layer<Messages, never, FileSystem.FileSystem | Pilot> =>
  Layer.effect(Messages, make(home))

/** The messages whose ids are wanted, the oldest first. */
type Inbox = (isWanted?: (id: string) => boolean) => Effect.Effect<ReadonlyArray<Message>, Mailbox.MailboxError>

/** What was seen is not read again, and remembered only while it is there, so that a cleared inbox costs nothing. */
const arriving = (inbox: Inbox): Stream.Stream<Message, Mailbox.MailboxError> =>
  Stream.suspend(() => {
    let seen: ReadonlySet<string> = new Set()
    const look = Effect.suspend(() => {
      const there = new Set<string>()
      const isFresh = (id: string) => {
        const isSeen = seen.has(id)
        if (isSeen) there.add(id)
        return !isSeen
      }
      return Effect.map(inbox(isFresh), (fresh) => {
        for (const { id } of fresh) there.add(id)
        seen = there
        return fresh
      })
    })
    return Stream.fromEffectSchedule(look, Schedule.spaced(LOOK_INTERVAL)).pipe(Stream.flatMap(Stream.fromIterable))
  })

/** Without the kind, the name of a file is the time it came, to the millisecond, and a number within that. */
const arrivalOf = (id: string): string => {
  const place = Mailbox.placeOf(id)
  return place.slice(place.indexOf("-") + 1)
}

const encoded = (content: Content): { readonly kind: number; readonly payload: Uint8Array } => {
  if ("text" in content) return { kind: SendMessage.KINDS.text, payload: Bytes.fromUtf8(content.text) }
  return "bytes" in content
    ? { kind: SendMessage.KINDS.binary, payload: content.bytes }
    : { kind: SendMessage.KINDS.json, payload: Bytes.fromUtf8(JSON.stringify(content.json) ?? "null") }
}

const toMessage = ({ message, name }: Mailbox.Stored): Message => {
  const { data, from, receivedAt, type } = message
  const kind = type === "JSON" ? "json" : type === "BINARY" ? "binary" : "text"
  return { id: name, from, kind, data, text: Bytes.toUtf8Lossy(data), receivedAt: new Date(receivedAt) }
}

const LOOK_INTERVAL = "500 millis"
