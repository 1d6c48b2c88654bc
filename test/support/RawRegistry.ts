/** A registry client that sends exactly the bytes it is given, from a chosen local address, and reads raw frames. */
import { connect } from "node:net"
import { Effect, Queue, type Scope } from "effect"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as LengthPrefix from "../../src/protocol/wire/LengthPrefix.ts"

/** One connection. */
export interface RawConnection {
  readonly send: (bytes: Uint8Array) => void
  /** No more will be sent. */
  readonly end: () => void
  /** The text of the next reply, or `closed` when the connection is. */
  readonly next: Effect.Effect<string>
  /** Sends one framed text and reads its reply. */
  readonly ask: (text: string) => Effect.Effect<string>
}

/**
 * Connects; the surrounding scope's end disconnects. One that is `stubborn` keeps its own end open whatever the server does,
 * and hears of the server's end as `ended`.
 */
export const open = (
  port: number,
  localAddress = "127.0.0.1",
  isStubborn = false
): Effect.Effect<RawConnection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const replies = yield* Queue.unbounded<string>()
    const splitter = new LengthPrefix.Splitter(1 << 26)
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: isStubborn })),
      (socket) => Effect.sync(() => socket.destroy())
    )
    socket.on("data", (chunk: Uint8Array) => {
      for (const frame of splitter.push(chunk).frames) Queue.offerUnsafe(replies, Bytes.toUtf8Lossy(frame))
    })
    socket.on("error", () => {})
    socket.on("close", () => Queue.offerUnsafe(replies, "closed"))
    if (isStubborn) socket.on("end", () => Queue.offerUnsafe(replies, "ended"))
    const send = (bytes: Uint8Array): void => {
      socket.write(bytes)
    }
    const next = Queue.take(replies)
    return {
      send,
      end: () => {
        socket.end()
      },
      next,
      ask: (text) =>
        Effect.andThen(
          Effect.sync(() => send(frame(text))),
          next
        )
    }
  })

/** A text as a frame. */
export const frame = (text: string): Uint8Array => LengthPrefix.encode(Bytes.fromUtf8(text))
