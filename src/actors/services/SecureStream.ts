/**
 * A secure channel over any byte stream (wire §14), as either end of it: keys are exchanged, then what is written is sealed
 * and what is read was opened. Who the other end is, this channel does not say: that is the tunnel's business, or the TLS
 * of whatever it runs in.
 */
import { Cause, Effect, Schema, Semaphore } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Duplex } from "../../core/net/Duplex.ts"
import * as KeyDerivation from "../../protocol/tunnel/KeyDerivation.ts"
import { type Failure, SecureChannel } from "../../protocol/tunnel/SecureChannel.ts"
import { Port } from "../../protocol/wire/Address.ts"
import * as SecureFrame from "../../protocol/wire/SecureFrame.ts"

/** The secure channel (wire §2). */
export const PORT = Port(443)

const DETAILS = {
  TimedOut: "the other side did not send its key in time",
  NoKey: "the stream ended before the other side's key",
  BadKey: "the other side's key is of small order",
  TooLong: "a frame is longer than any may be",
  TooShort: "a frame is shorter than its nonce",
  OutOfOrder: "a frame was repeated or left out",
  Tag: "a frame was not sealed under this channel's key",
  Truncated: "the stream ended inside a frame"
} as const

/** The channel cannot be opened, or not be read on. */
export class SecureChannelError extends Schema.TaggedError<SecureChannelError>()("SecureChannelError", {
  reason: Schema.Literals(Object.keys(DETAILS) as ReadonlyArray<keyof typeof DETAILS>)
}) {
  override get message(): string {
    return `secure channel: ${DETAILS[this.reason]}`
  }
}

/** How a channel begins. */
export interface Options {
  readonly role: SecureFrame.Role
  readonly crypto: Crypto["Service"]
  /** The key generation of the tunnel to the peer; what it says first decides, if it speaks first. */
  readonly scheme: KeyDerivation.Scheme
}

/**
 * The channel over `duplex`, whose bytes are its own from now on. One write is one frame up to `FRAME_BYTES_MAX`, and several
 * beyond; `end` is the stream's own, and so is its meaning: a stream that is cut between two frames looks ended.
 */
export const open = Effect.fnUntraced(function* <E>(
  duplex: Duplex<E>,
  { crypto, role, scheme }: Options
): Effect.fn.Return<Duplex<E | SecureChannelError>, E | SecureChannelError> {
  const own = crypto.agreementKey()
  const { key, rest } = yield* Effect.timeoutOrElse(exchange(duplex, own.publicKey, role), {
    duration: HANDSHAKE_TIMEOUT,
    orElse: () => new SecureChannelError({ reason: "TimedOut" })
  })
  const secret = own.agree(key)
  if (secret === undefined) return yield* new SecureChannelError({ reason: "BadKey" })
  const derived = KeyDerivation.secureChannelKeys(secret, crypto)
  const keys = { legacy: crypto.aes256Gcm(derived.legacy), later: crypto.aes256Gcm(derived.later) }
  const channel = new SecureChannel({ role, keys, preferred: scheme })
  return yield* sealed(duplex, channel, rest)
})

/** The client speaks first. Frames may follow the other side's key in the same chunk. */
const exchange = Effect.fnUntraced(function* <E>({ read, write }: Duplex<E>, key: Uint8Array, role: SecureFrame.Role) {
  if (role === "client") yield* write(key)
  let heard = Bytes.empty
  while (heard.length < SecureFrame.KEY_BYTES) {
    const chunk = yield* Effect.catch(read, (error) =>
      Effect.fail<E | SecureChannelError>(Cause.isDone(error) ? new SecureChannelError({ reason: "NoKey" }) : error)
    )
    heard = heard.length === 0 ? chunk : Bytes.concat(heard, chunk)
  }
  if (role === "server") yield* write(key)
  return { key: heard.subarray(0, SecureFrame.KEY_BYTES), rest: heard.subarray(SecureFrame.KEY_BYTES) }
})

const sealed = Effect.fnUntraced(function* <E>(
  { end, read, write }: Duplex<E>,
  channel: SecureChannel,
  first: Uint8Array
): Effect.fn.Return<Duplex<E | SecureChannelError>> {
  // Frames must leave in the order of their counters, whoever writes.
  const writing = yield* Semaphore.make(1)
  let failure: Failure | undefined
  let waiting: ReadonlyArray<Uint8Array> = []
  const take = (chunk: Uint8Array) => {
    const opened = channel.push(chunk)
    failure = opened.failure
    waiting = opened.plaintexts.filter(({ length }) => length > 0)
  }
  take(first)
  const chunk: Duplex<E | SecureChannelError>["read"] = Effect.catch(read, (error) =>
    Effect.fail<E | Cause.Done | SecureChannelError>(
      Cause.isDone(error) && channel.isInside ? new SecureChannelError({ reason: "Truncated" }) : error
    )
  )
  const next: Duplex<E | SecureChannelError>["read"] = Effect.suspend(() => {
    const [plaintext, ...others] = waiting
    if (plaintext !== undefined) {
      waiting = others
      return Effect.succeed(plaintext)
    }
    if (failure !== undefined) return new SecureChannelError({ reason: failure })
    return Effect.flatMap(chunk, (bytes) => {
      take(bytes)
      return next
    })
  })
  const frames = (bytes: Uint8Array): Effect.Effect<void, E | SecureChannelError> =>
    Effect.suspend(() => {
      if (failure !== undefined) return new SecureChannelError({ reason: failure })
      const written = write(channel.seal(bytes.subarray(0, FRAME_BYTES_MAX)))
      return bytes.length <= FRAME_BYTES_MAX
        ? written
        : Effect.andThen(written, frames(bytes.subarray(FRAME_BYTES_MAX)))
    })
  return { read: next, write: (bytes) => writing.withPermit(frames(bytes)), end }
})

/** For the keys of both sides (wire §14). */
const HANDSHAKE_TIMEOUT = "10 seconds"
/** Plaintext of one frame that we send; peers take more (wire §14). */
const FRAME_BYTES_MAX = 256 << 10
