import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Queue, Stream } from "effect"
import type { Connection, Node } from "../../src/actors/node/Node.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as BeaconMessage from "../../src/protocol/wire/BeaconMessage.ts"
import { ClearText } from "../../src/testing/ClearText.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { StreamLedger } from "../../src/testing/StreamLedger.ts"

const HERE = Address.make(0, 1)
const THERE = Address.make(0, 2)
const text = (value: string) => new TextEncoder().encode(value)

/** Two watched nodes whose streams do to the chunks what `carry` says. */
const rig = (carry: (chunks: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const violations: Array<string> = []
    const ledger = new StreamLedger({ violated: (detail) => void violations.push(detail), written: () => {} })
    const written: Array<Uint8Array> = []
    const arriving = yield* Queue.unbounded<Uint8Array, Cause.Done>()
    const ends = { id: 1, end: Effect.void, reset: Effect.void, closed: Effect.never }
    const near: Connection = {
      ...ends,
      ...{ localPort: Address.Port(50_000), remote: THERE, remotePort: Address.Port(80) },
      read: Effect.never,
      write: (bytes) => Effect.sync(() => void written.push(bytes)),
      close: Effect.suspend(() => Effect.andThen(Queue.offerAll(arriving, carry(written)), Queue.end(arriving)))
    }
    const far: Connection = {
      ...ends,
      ...{ localPort: Address.Port(80), remote: HERE, remotePort: Address.Port(50_000) },
      read: Queue.take(arriving),
      write: () => Effect.void,
      close: Effect.void
    }
    const here = ledger.watch(stub(HERE, near))
    const there = ledger.watch(stub(THERE, far))
    const connection = yield* here.dial(THERE, Address.Port(80))
    const accepted = yield* Effect.flatMap(there.listen(Address.Port(80)), ({ accept }) => accept)
    yield* connection.write(text("one "))
    yield* connection.write(text("two "))
    yield* connection.write(text("three"))
    yield* connection.close
    yield* Effect.ignore(Effect.forever(accepted.read))
    return violations.map((violation) => violation.replace(/^.*: /, ""))
  })

const stub = (self: Address.Address, connection: Connection): Node["Service"] => ({
  address: Effect.succeed(self),
  status: Effect.never,
  dial: () => Effect.succeed(connection),
  listen: (port) => Effect.succeed({ port, accept: Effect.succeed(connection) }),
  sendDatagram: () => Effect.void,
  datagrams: () => Effect.never,
  ping: () => Effect.never,
  closeConnection: () => Effect.void,
  dropPeer: () => Effect.void,
  setHostname: () => Effect.void,
  setPublic: () => Effect.void
})

describe("StreamLedger", () => {
  const join = (chunks: ReadonlyArray<Uint8Array>) => Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))
  const cases: ReadonlyArray<readonly [string, Parameters<typeof rig>[0], ReadonlyArray<string>]> = [
    ["is silent about bytes that arrive as written", (chunks) => chunks, []],
    ["does not care how they are cut", (chunks) => [join(chunks).subarray(0, 6), join(chunks).subarray(6)], []],
    [
      "sees bytes out of order",
      (chunks) => chunks.toReversed(),
      ["another byte than was written, after 0 of 13 bytes"]
    ],
    ["sees bytes twice", (chunks) => [...chunks, ...chunks], ["more bytes than were written, after 13 of 13 bytes"]],
    [
      "sees a stream cut short",
      (chunks) => chunks.slice(0, 2),
      ["the end comes before the last byte, after 8 of 13 bytes"]
    ]
  ]
  for (const [name, carry, expected] of cases) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const violations = yield* rig(carry)

        assert.deepStrictEqual([...new Set(violations)].slice(0, 1), expected)
      })
    )
  }
})

describe("ClearText", () => {
  const secret = text("the quarterly figures, before anybody")

  it("sees what a user wrote in a datagram, and only that", () => {
    const checker = new ClearText()
    checker.written(secret)

    assert.isDefined(checker.problemWith(text(`header ${new TextDecoder().decode(secret)}`)))
    assert.isUndefined(checker.problemWith(text("header and something else entirely")))
  })

  it("sees plain frames (wire §3), relayed ones too", () => {
    const frame = text("PILT and a packet")
    const relayed = BeaconMessage.encode({ _tag: "Relay", sender: HERE.node, destination: THERE.node, frame })

    assert.isDefined(new ClearText().problemWith(frame))
    assert.isDefined(new ClearText().problemWith(relayed))
    assert.isUndefined(new ClearText().problemWith(text("PILS and a packet, PILT inside")))
  })
})

describe("a simulation that fails", () => {
  it.effect("says its seed and what happened last when nothing more can happen", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(SimNet.run({ seed: 77, limit: "1 minute" }, () => Effect.never))

      assert.strictEqual(exit._tag, "Failure")
      if (exit._tag === "Failure") assert.match(Cause.pretty(exit.cause), /seed 77, at 60000\.000 ms: still running/)
    })
  )

  it.effect("ends with the first plain frame on the wire", () =>
    Effect.gen(function* () {
      const program = SimNet.run({ seed: 78 }, (net) =>
        Effect.gen(function* () {
          const config = { encrypt: false }
          const a = yield* net.node("a", { config })
          const b = yield* net.node("b", { config })
          yield* net.trust(a, b)
        })
      )
      const exit = yield* Effect.exit(program)

      assert.strictEqual(exit._tag, "Failure")
      if (exit._tag === "Failure")
        assert.match(Cause.pretty(exit.cause), /seed 78, at .* ms: a plain frame on the wire/)
    })
  )

  it.effect("finds a program that outlives its node", () =>
    Effect.gen(function* () {
      const program = SimNet.run({ seed: 79 }, (net) =>
        Effect.flatMap(net.node("a"), (a) =>
          a.run(Effect.forkDetach(Stream.runDrain(Stream.mapEffect(Pilot.listen(9), () => Effect.never))))
        )
      )
      const exit = yield* Effect.exit(program)

      assert.strictEqual(exit._tag, "Failure")
      if (exit._tag === "Failure")
        assert.match(Cause.pretty(exit.cause), /fibers are left after everything was stopped/)
    })
  )
})
