import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { OwnKeys } from "../../src/actors/identity/OwnKeys.ts"
import { Node } from "../../src/actors/node/Node.ts"
import { RegistryClient } from "../../src/actors/registry/RegistryClient.ts"
import { PeerKeys } from "../../src/actors/trust/PeerKeys.ts"
import { Trust } from "../../src/actors/trust/Trust.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import type { SigningKey } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as KeySigning from "../../src/protocol/identity/KeySigning.ts"
import * as KeyStatement from "../../src/protocol/identity/KeyStatement.ts"
import type { NodeId } from "../../src/protocol/wire/Address.ts"
import type { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { HOME } from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, readBytes, serveEcho } from "./Programs.ts"

const PORT = 4000
const BYTES = payload(20_000, 3)
const RECOVERY = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(9))
const THIEFS = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(8))

const enrol = Effect.gen(function* () {
  const keys = yield* OwnKeys
  const draft = yield* keys.prepareEnrolment(RECOVERY.publicKey)
  const consent = RECOVERY.sign(KeyStatement.signedBytes(draft))
  return yield* keys.commitEnrolment({ consent, predecessor: Bytes.empty })
})

/** As the owner does it, with the recovery key in hand. */
const recover = Effect.gen(function* () {
  const keys = yield* OwnKeys
  const draft = yield* keys.prepareRotation
  return yield* keys.commitRotation(RECOVERY.sign(KeyStatement.signedBytes(draft)))
})

/** Asks twice on one stream, before and after. */
const overChange = (changed: Deferred.Deferred<void>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Pilot.dial("alpha", PORT)
      yield* connection.write(BYTES)
      yield* readBytes(connection, BYTES.length)
      while (!(yield* Deferred.isDone(changed))) yield* Effect.sleep("100 millis")
      yield* Effect.forkScoped(Effect.ignore(connection.write(BYTES)))
      return yield* readBytes(connection, BYTES.length)
    })
  )

const addressOf = Effect.flatMap(Node, (node) => node.address)

const trusts = (node: NodeId) =>
  Effect.gen(function* () {
    const keys = yield* PeerKeys
    const row = (yield* (yield* Trust).trusted).find((peer) => peer.node === node)
    return keys.isTrusted(node) && row !== undefined ? Bytes.toHex(row.publicKey) : undefined
  })

const look = (node: NodeId) => Effect.flatMap(RegistryClient, (registry) => registry.lookup(node))

const isAnnounced = (node: NodeId) =>
  Effect.map(PeerKeys, ({ chains }) => chains.standings().get(node)?.pending !== undefined)

/** What the file of a node holds, for whoever can read it. */
const keyOn = (disk: MemoryDisk): SigningKey => {
  const { directory, name } = disk.place(`${HOME}/identity.key`)!
  const entry = directory.entries.get(name)
  const text = entry?._tag === "File" ? Bytes.toUtf8Lossy(entry.bytes) : ""
  const stored = Json.string(Json.parseObject(text) ?? {}, "private_key")
  return NativeCrypto.crypto.signingKey(Bytes.fromBase64(stored)!.slice(0, 32))
}

describe("keys that change, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect(
    "address, name, trust and an open stream survive a rotation, also at a peer that was away; a thief waits",
    () =>
      SimNet.run({ seed: 9 }, (net) =>
        Effect.gen(function* () {
          const alpha = yield* net.node("alpha", { main: serveEcho(PORT) })
          const bravo = yield* net.node("bravo", { nat: "portRestrictedCone" })
          const charlie = yield* net.node("charlie")
          yield* alpha.run(enrol)
          yield* net.trust(bravo, alpha)
          yield* net.trust(charlie, alpha)
          const address = yield* alpha.run(addressOf)
          assert.strictEqual(Buffer.compare(yield* charlie.run(echo("alpha", PORT, BYTES)), BYTES), 0)
          yield* net.crash(charlie)

          // A stream is open while the key changes.
          const first = yield* alpha.run(Effect.flatMap(OwnKeys, (keys) => keys.status))
          const changed = yield* Deferred.make<void>()
          const stream = yield* Effect.forkScoped(bravo.run(overChange(changed)))
          yield* net.sleep("2 seconds")
          const second = yield* alpha.run(recover)
          yield* net.sleep("2 seconds")
          yield* Deferred.succeed(changed, undefined)
          assert.strictEqual(Buffer.compare(yield* Fiber.join(stream), BYTES), 0)
          assert.notDeepEqual(second.publicKey, first.publicKey)
          assert.strictEqual(second.pending, undefined)
          assert.deepStrictEqual(yield* alpha.run(addressOf), address)

          assert.strictEqual(Buffer.compare(yield* bravo.run(echo("alpha", PORT, BYTES)), BYTES), 0)
          assert.strictEqual(yield* bravo.run(trusts(address.node)), Bytes.toHex(second.publicKey))
          yield* net.restart(charlie)
          assert.strictEqual(Buffer.compare(yield* charlie.run(echo("alpha", PORT, BYTES)), BYTES), 0)
          assert.strictEqual(yield* charlie.run(trusts(address.node)), Bytes.toHex(second.publicKey))

          // A thief has the key of now, and nothing else.
          const stolen = keyOn(alpha.machine.disk)
          const link = KeySigning.sign(
            {
              ...{ kind: "rotate", signer: "key", sequence: second.sequence + 1, unixSeconds: 0 },
              ...{ key: second.publicKey, next: THIEFS.publicKey, recovery: RECOVERY.publicKey }
            },
            stolen,
            THIEFS
          )
          const told = yield* charlie.run(
            Effect.flatMap(RegistryClient, (registry) => registry.publishKeyChain(address.node, [link]))
          )
          assert.deepStrictEqual(told.publicKey, second.publicKey)
          yield* bravo.run(look(address.node))
          assert.isTrue(yield* bravo.run(isAnnounced(address.node)))
          assert.strictEqual(yield* bravo.run(trusts(address.node)), Bytes.toHex(second.publicKey))

          const third = yield* alpha.run(recover)
          assert.strictEqual(Buffer.compare(yield* bravo.run(echo("alpha", PORT, BYTES)), BYTES), 0)
          assert.strictEqual(yield* bravo.run(trusts(address.node)), Bytes.toHex(third.publicKey))
          assert.isFalse(yield* bravo.run(isAnnounced(address.node)))
        })
      )
  )
})
