import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, FileSystem, Layer, Path, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as KeyKeeper from "../../../src/actors/identity/KeyKeeper.ts"
import * as OwnKeyState from "../../../src/actors/identity/OwnKeyState.ts"
import type { OwnKeys } from "../../../src/actors/identity/OwnKeys.ts"
import { RegistryError } from "../../../src/actors/registry/RegistryClient.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import { Passphrase } from "../../../src/core/crypto/Passphrase.ts"
import * as SealedText from "../../../src/core/crypto/SealedText.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type { KeyChain } from "../../../src/protocol/identity/KeyChain.ts"
import * as KeyHistory from "../../../src/protocol/identity/KeyHistory.ts"
import * as KeySigning from "../../../src/protocol/identity/KeySigning.ts"
import * as KeyStanding from "../../../src/protocol/identity/KeyStanding.ts"
import * as KeyStatement from "../../../src/protocol/identity/KeyStatement.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as SeededRandom from "../../../src/testing/SeededRandom.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"
import { BEGIN, key, rotate } from "../../support/KeyChains.ts"

const PATH = "/home/identity.key"
const R = key(9)
const { verify } = NativeCrypto.crypto

/** A registry that follows chains, as the real one does, and outlives the node. */
class Desk {
  publicKey: Uint8Array
  history: KeyHistory.KeyHistory
  isAway = false
  readonly heard: Array<KeyChain> = []

  constructor(publicKey: Uint8Array) {
    this.publicKey = publicKey
    this.history = KeyHistory.begin(publicKey)
  }

  publish = (nowSeconds: number, chain: KeyChain) => {
    if (this.isAway) return new RegistryError({ reason: "Unavailable", operation: "publish_key_chain", detail: "away" })
    this.heard.push(chain)
    this.history = KeyHistory.learn(this.history, chain, {
      atSeconds: nowSeconds,
      isFirst: nowSeconds === BEGIN,
      verify
    })
    const { current, fork, pending } = KeyStanding.at(this.history, nowSeconds)
    if (fork === undefined) this.publicKey = current
    return { publicKey: this.publicKey, pendingUntilSeconds: pending?.fromSeconds, isForked: fork !== undefined }
  }
}

interface Machine {
  readonly disk: MemoryDisk
  /** Operations on the disk that are left until the machine loses its power. */
  left: number
}

const machine = (): Machine => {
  const disk = new MemoryDisk()
  disk.root.entries.set("home", disk.makeDirectory(0o700))
  disk.sync(disk.root, "/")
  return { disk, left: Number.POSITIVE_INFINITY }
}

const services = ({ disk }: Machine, isRunning: () => boolean) =>
  Effect.map(Layer.build(Path.layer), (path) =>
    Context.make(Crypto, NativeCrypto.crypto).pipe(
      Context.merge(path),
      Context.add(FileSystem.FileSystem, VirtualFileSystem.make(disk, isRunning))
    )
  )

/** A life of the node's key. `told` is what its peers with tunnels have heard. */
const live = Effect.fnUntraced(function* (
  on: Machine,
  desk: Desk | undefined,
  changes: Partial<KeyKeeper.Options> = {}
) {
  const around = yield* services(on, () => --on.left >= 0)
  const state = yield* Effect.provide(OwnKeyState.load(PATH), around)
  const registry = desk ?? new Desk(state.key.publicKey)
  const told: Array<KeyChain> = []
  const rivals: Array<Uint8Array> = []
  const publish: KeyKeeper.Options["publish"] = (chain) =>
    Effect.flatMap(
      Effect.clockWith((clock) => clock.currentTimeMillis),
      (ms) => {
        const reply = registry.publish(Math.floor(ms / 1000), chain)
        return reply instanceof RegistryError ? Effect.fail(reply) : Effect.succeed(reply)
      }
    )
  const keeper = yield* KeyKeeper.make({
    state,
    publish,
    spread: (chain) => Effect.sync(() => void told.push(chain)),
    renewTunnels: Effect.void,
    moved: () => {},
    contested: (rival) => void rivals.push(rival),
    ...changes
  }).pipe(Effect.provide(around))
  return { keys: keeper.keys, heard: keeper.heard, state, desk: registry, told, rivals }
})

const enrol = (keys: OwnKeys["Service"], recovery = R) =>
  Effect.flatMap(keys.prepareEnrolment(recovery.publicKey), (draft) => {
    const text = KeyStatement.signedBytes(draft)
    return keys.commitEnrolment({ consent: recovery.sign(text), predecessor: R.sign(text) })
  })

const recover = (keys: OwnKeys["Service"], by = R) =>
  Effect.flatMap(keys.prepareRotation, (draft) => keys.commitRotation(by.sign(KeyStatement.signedBytes(draft))))

const PASSPHRASE = Redacted.make("correct horse battery")

const begin = TestClock.setTime(BEGIN * 1000)

describe("KeyKeeper", () => {
  it.effect("announces a key, waits seven days across a restart, and moves with the registry (security rule 9)", () =>
    Effect.gen(function* () {
      yield* begin
      const on = machine()
      const { desk, keys, state, told } = yield* live(on, undefined)
      const first = state.key.publicKey
      const announced = yield* keys.rotate
      assert.strictEqual(announced.pending?.fromSeconds, BEGIN + KeyStanding.WAIT_SECONDS)
      assert.strictEqual(told.length, 1)
      assert.strictEqual((yield* Effect.flip(keys.rotate)).reason, "InProgress")
      yield* TestClock.adjust("6 days")
      yield* keys.look
      assert.deepStrictEqual(state.key.publicKey, first)

      const again = yield* live(on, desk)
      yield* TestClock.adjust("1 day")
      yield* again.keys.look
      assert.deepStrictEqual(again.state.key.publicKey, announced.pending?.publicKey)
      assert.deepStrictEqual(desk.publicKey, announced.pending?.publicKey)
      assert.deepStrictEqual((yield* live(on, desk)).state.key.publicKey, announced.pending?.publicKey)
    }).pipe(Effect.scoped)
  )

  it.effect("takes an announced key back, and can announce another", () =>
    Effect.gen(function* () {
      yield* begin
      const on = machine()
      const { desk, keys, state } = yield* live(on, undefined)
      const first = state.key.publicKey
      yield* keys.rotate
      yield* keys.cancel
      assert.strictEqual((yield* Effect.flip(keys.cancel)).reason, "NothingInProgress")
      const second = yield* keys.rotate
      yield* TestClock.adjust("7 days")
      yield* keys.look

      assert.notDeepEqual(state.key.publicKey, first)
      assert.deepStrictEqual(state.key.publicKey, second.pending?.publicKey)
      assert.deepStrictEqual(desk.publicKey, state.key.publicKey)
    }).pipe(Effect.scoped)
  )

  it.effect("takes every announced key back by the recovery key, its own and a thief's, and by no other key", () =>
    Effect.gen(function* () {
      yield* begin
      const on = machine()
      const { desk, heard, keys, rivals, state } = yield* live(on, undefined)
      yield* enrol(keys)
      assert.strictEqual((yield* Effect.flip(keys.prepareCancellation)).reason, "NothingInProgress")
      yield* TestClock.adjust("1 day")
      const own = yield* keys.rotate
      const thief = key(3)
      const words = { kind: "rotate", signer: "key", sequence: 1, unixSeconds: 0, recovery: R.publicKey } as const
      const link = KeySigning.sign({ ...words, key: state.key.publicKey, next: thief.publicKey }, state.key, thief)
      desk.publish(BEGIN + KeyStanding.WAIT_SECONDS / 7, [link])
      yield* heard([link])
      const standing = () => KeyStanding.at(desk.history, BEGIN + KeyStanding.WAIT_SECONDS)
      assert.lengthOf(standing().fork ?? [], 2)

      const drafts = yield* keys.prepareCancellation
      assert.deepStrictEqual(
        drafts.map(({ next }) => next),
        [own.pending?.publicKey, thief.publicKey]
      )
      const signed = (by: KeySigning.Signer) => drafts.map((draft) => by.sign(KeyStatement.signedBytes(draft)))
      assert.strictEqual((yield* Effect.flip(keys.commitCancellation(signed(key(8))))).reason, "WrongRecoveryKey")
      const after = yield* keys.commitCancellation(signed(R))
      assert.strictEqual(after.pending, undefined)
      assert.deepStrictEqual([standing().fork, standing().pending], [undefined, undefined])
      yield* TestClock.adjust("8 days")
      yield* keys.look
      assert.deepStrictEqual(standing().current, state.key.publicKey)

      // It is on disk, and what the registry repeats is no news to the next life.
      const again = yield* live(on, desk)
      yield* again.heard([link])
      assert.deepStrictEqual([rivals.length, again.rivals.length], [1, 0])
      assert.strictEqual((yield* Effect.flip(again.keys.cancel)).reason, "NothingInProgress")
    }).pipe(Effect.scoped)
  )

  it.effect("goes on to renew its tunnels when the client that moved it hangs up", () =>
    Effect.gen(function* () {
      yield* begin
      const gate = yield* Deferred.make<void>()
      const done: Array<string> = []
      let isSlow = false
      const { keys } = yield* live(machine(), undefined, {
        spread: () =>
          Effect.andThen(
            isSlow ? Deferred.await(gate) : Effect.void,
            Effect.sync(() => done.push("told"))
          ),
        renewTunnels: Effect.sync(() => done.push("renewed"))
      })
      yield* enrol(keys)
      done.length = 0
      isSlow = true
      const moving = yield* Effect.forkChild(recover(keys), { startImmediately: true })
      const hangingUp = yield* Effect.forkChild(Fiber.interrupt(moving), { startImmediately: true })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(hangingUp)

      assert.deepStrictEqual(done, ["told", "renewed"])
    }).pipe(Effect.scoped)
  )

  it.effect("moves at once by the recovery key, by no other one, and the recovery key goes along", () =>
    Effect.gen(function* () {
      yield* begin
      const on = machine()
      const { desk, keys, state } = yield* live(on, undefined)
      assert.strictEqual((yield* Effect.flip(keys.prepareRotation)).reason, "NoRecoveryKey")
      yield* enrol(keys)
      assert.strictEqual((yield* Effect.flip(recover(keys, key(8)))).reason, "WrongRecoveryKey")
      const second = yield* recover(keys)
      assert.deepStrictEqual(desk.publicKey, second.publicKey)
      assert.deepStrictEqual([second.sequence, second.recovery], [1, R.publicKey])
      const third = yield* recover((yield* live(on, desk)).keys)
      assert.deepStrictEqual([third.sequence, desk.publicKey], [2, third.publicKey])
      assert.notDeepEqual(state.key.publicKey, third.publicKey)
    }).pipe(Effect.scoped)
  )

  it.effect("lets only the recovery key in force name its successor", () =>
    Effect.gen(function* () {
      yield* begin
      const { keys } = yield* live(machine(), undefined)
      yield* enrol(keys)
      const draft = yield* keys.prepareEnrolment(key(7).publicKey)
      const text = KeyStatement.signedBytes(draft)
      const without = keys.commitEnrolment({ consent: key(7).sign(text), predecessor: Bytes.empty })
      assert.strictEqual((yield* Effect.flip(without)).reason, "WrongRecoveryKey")

      assert.deepStrictEqual((yield* enrol(keys, key(7))).recovery, key(7).publicKey)
    }).pipe(Effect.scoped)
  )

  it.effect("finishes when the registry is back what it began while it was away", () =>
    Effect.gen(function* () {
      yield* begin
      const { desk, keys, state } = yield* live(machine(), undefined)
      yield* enrol(keys)
      const first = state.key.publicKey
      desk.isAway = true
      assert.strictEqual((yield* Effect.flip(recover(keys))).reason, "Unavailable")
      assert.deepStrictEqual(state.key.publicKey, first)
      desk.isAway = false
      yield* keys.look

      assert.notDeepEqual(state.key.publicKey, first)
      assert.deepStrictEqual(desk.publicKey, state.key.publicKey)
    }).pipe(Effect.scoped)
  )

  it.effect("raises the alarm once when the registry knows of a key that was not made here", () =>
    Effect.gen(function* () {
      yield* begin
      const { heard, keys, rivals, state } = yield* live(machine(), undefined)
      const own = yield* keys.rotate
      const thief = key(3)
      const words = { kind: "rotate", signer: "key", sequence: 1, unixSeconds: 0, recovery: Bytes.empty } as const
      const draft = { ...words, key: state.key.publicKey, next: thief.publicKey }
      const text = KeyStatement.signedBytes(draft)
      const link = { ...draft, signature: state.key.sign(text), consent: thief.sign(text) }
      yield* heard([...own.chain, link, rotate(1, 2)])
      yield* heard([link])

      assert.deepStrictEqual(rivals, [thief.publicKey])
    }).pipe(Effect.scoped)
  )

  it.effect("has the old key or the new one, and finishes, whenever the machine loses its power", () =>
    Effect.gen(function* () {
      let hasMoved = 0
      let isDone = false
      for (let operations = 0; !isDone; operations++) {
        yield* begin
        const on = machine()
        const prepared = yield* live(on, undefined)
        yield* enrol(prepared.keys)
        const first = prepared.state.key.publicKey
        on.left = operations
        const ended = yield* Effect.exit(recover(prepared.keys))
        isDone = ended._tag === "Success" && on.left > 0
        // What was not synced is gone, or not, as chance has it.
        on.disk.crash(SeededRandom.make(operations))
        on.left = Number.POSITIVE_INFINITY

        const { desk, keys, state } = yield* live(on, prepared.desk)
        const isOld = Bytes.equals(state.key.publicKey, first)
        const isNew = Bytes.equals(state.key.publicKey, desk.publicKey)
        assert.isTrue(isOld || isNew, `after ${operations} operations`)
        yield* keys.look
        assert.deepStrictEqual(state.key.publicKey, desk.publicKey, `after ${operations} operations`)
        if (!Bytes.equals(desk.publicKey, first)) hasMoved++
        assert.isBelow(operations, 100)
      }
      assert.isAbove(hasMoved, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("never writes a key in the clear beside one that is encrypted", () =>
    Effect.gen(function* () {
      yield* begin
      const on = machine()
      const { keys } = yield* live(on, undefined)
      yield* enrol(keys)
      yield* keys.rotate
      const home = on.disk.find("/home")
      assert.isTrue(home?._tag === "Directory" && home.entries.size === 2)
      for (const [name, entry] of home?._tag === "Directory" ? home.entries : [])
        assert.isTrue(entry._tag === "File" && SealedText.isSealed(Bytes.toUtf8Lossy(entry.bytes)), name)
    }).pipe(Effect.provideService(Passphrase, PASSPHRASE), Effect.scoped)
  )
})
