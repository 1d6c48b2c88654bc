import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import * as SecureStream from "../../../src/actors/services/SecureStream.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type { Duplex } from "../../../src/core/net/Duplex.ts"
import * as DuplexPair from "../../support/DuplexPair.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const crypto = NativeCrypto.crypto
/** The keys that the vectors were made with. */
const scripted = (privateKey: string) => ({ ...crypto, agreementKey: () => crypto.agreementKey(hex(privateKey)) })
const options = (role: "client" | "server", scheme: "legacy" | "later" = "legacy") => ({ role, scheme, crypto })

const both = Effect.fnUntraced(function* (
  schemes: { readonly client: "legacy" | "later"; readonly server: "legacy" | "later" },
  pieceBytes = Number.POSITIVE_INFINITY
) {
  const pair = yield* DuplexPair.make({ pieceBytes, capacity: 4096 })
  const [client, server] = yield* Effect.all(
    [
      SecureStream.open(pair.left, options("client", schemes.client)),
      SecureStream.open(pair.right, options("server", schemes.server))
    ],
    { concurrency: "unbounded" }
  )
  return { client, server, pair }
})

const readBytes = Effect.fnUntraced(function* <E>(duplex: Duplex<E>, count: number) {
  let bytes = Bytes.empty
  while (bytes.length < count) bytes = Bytes.concat(bytes, yield* duplex.read)
  return bytes
})

describe("SecureStream", () => {
  it.effect("carries bytes both ways, whatever either side takes the tunnel to be (wire §14, §15.1)", () =>
    Effect.gen(function* () {
      for (const client of ["legacy", "later"] as const)
        for (const server of ["legacy", "later"] as const) {
          const ends = yield* both({ client, server }, 7)
          yield* ends.server.write(Bytes.fromUtf8("welcome"))
          assert.strictEqual(Bytes.toUtf8Lossy(yield* readBytes(ends.client, 7)), "welcome")
          yield* ends.client.write(Bytes.fromUtf8("hello"))
          yield* ends.server.write(Bytes.empty)
          yield* ends.server.write(Bytes.fromUtf8("again"))
          assert.strictEqual(Bytes.toUtf8Lossy(yield* readBytes(ends.server, 5)), "hello")
          assert.strictEqual(Bytes.toUtf8Lossy(yield* readBytes(ends.client, 5)), "again")
        }
    })
  )

  it.effect("splits what is longer than a frame, and gives it whole", () =>
    Effect.gen(function* () {
      const { client, server } = yield* both({ client: "later", server: "later" })
      const sent = Uint8Array.from({ length: 700_001 }, (_, index) => index * 7)
      yield* client.write(sent)
      yield* client.end

      assert.isTrue(Bytes.equals(yield* readBytes(server, sent.length), sent))
      assert.isTrue(Cause.isDone(yield* Effect.flip(server.read)))
    })
  )

  it.effect("says to a peer of the reference what the reference says (vectors secure_channel)", () =>
    Effect.gen(function* () {
      const { client_private, frames, handshake } = vectors.secure_channel
      const pair = yield* DuplexPair.make()
      const opening = yield* Effect.forkChild(
        SecureStream.open(pair.left, { ...options("client"), crypto: scripted(client_private) })
      )
      assert.strictEqual(Bytes.toHex(yield* pair.right.read), handshake[0]!.bytes)
      // Its key and its first frame in one segment.
      yield* pair.right.write(hex(handshake[1]!.bytes + frames[3]!.frame))
      const client = yield* Fiber.join(opening)

      assert.strictEqual(Bytes.toUtf8Lossy(yield* client.read), "hello")
      for (const { frame, plaintext } of frames.slice(0, 3)) {
        yield* client.write(hex(plaintext))
        assert.strictEqual(Bytes.toHex(yield* pair.right.read), frame)
      }
    })
  )

  it.effect("answers a client of the later reference in its generation (vectors secure_channel_new)", () =>
    Effect.gen(function* () {
      const { handshake, server_private } = vectors.secure_channel
      const { frames } = vectors.secure_channel_new
      const pair = yield* DuplexPair.make()
      const opening = yield* Effect.forkChild(
        SecureStream.open(pair.left, { ...options("server"), crypto: scripted(server_private) })
      )
      yield* pair.right.write(hex(handshake[0]!.bytes))
      assert.strictEqual(Bytes.toHex(yield* pair.right.read), handshake[1]!.bytes)
      const server = yield* Fiber.join(opening)
      yield* pair.right.write(hex(frames[0]!.frame))

      assert.strictEqual(Bytes.toUtf8Lossy(yield* server.read), "hello")
      yield* server.write(Bytes.fromUtf8("hello"))
      assert.strictEqual(Bytes.toHex(yield* pair.right.read), frames[1]!.frame)
    })
  )

  it.effect("gives up on whoever does not send a key, sends half of one, or one of small order", () =>
    Effect.gen(function* () {
      const open = Effect.fnUntraced(function* (
        say: (peer: Duplex<DuplexPair.Cut>) => Effect.Effect<void, DuplexPair.Cut>
      ) {
        const pair = yield* DuplexPair.make()
        const opening = yield* Effect.forkChild(Effect.result(SecureStream.open(pair.left, options("server"))), {
          startImmediately: true
        })
        yield* say(pair.right)
        yield* TestClock.adjust("10 seconds")
        const opened = yield* Fiber.join(opening)
        return Result.isFailure(opened) ? opened.failure : undefined
      })
      const reasons = [
        yield* open(() => Effect.void),
        yield* open((peer) => peer.write(new Uint8Array(31))),
        yield* open((peer) => Effect.andThen(peer.write(new Uint8Array(5)), peer.end)),
        yield* open((peer) => peer.write(new Uint8Array(32)))
      ].map((error) => (error?._tag === "SecureChannelError" ? error.reason : error))

      assert.deepStrictEqual(reasons, ["TimedOut", "TimedOut", "NoKey", "BadKey"])
    })
  )

  it.effect("takes nothing more after a frame that does not open, and says so to reader and writer", () =>
    Effect.gen(function* () {
      const { client, pair } = yield* both({ client: "legacy", server: "legacy" })
      yield* pair.right.write(hex("00000021000000010000000000000001cfc96369d7a9a69a20ceb98994accf299d1213c8d2"))

      const failures = [
        yield* Effect.flip(client.read),
        yield* Effect.flip(client.read),
        yield* Effect.flip(client.write(Bytes.empty))
      ]
      assert.deepStrictEqual(
        failures.map((error) => ("reason" in error ? error.reason : error)),
        ["Tag", "Tag", "Tag"]
      )
    })
  )

  it.effect("tells a stream that ends inside a frame from one that ends", () =>
    Effect.gen(function* () {
      const { client, pair } = yield* both({ client: "legacy", server: "legacy" })
      yield* pair.right.write(hex("00000021000000"))
      yield* pair.right.end

      const error = yield* Effect.flip(client.read)
      assert.strictEqual("reason" in error ? error.reason : undefined, "Truncated")
    })
  )
})
