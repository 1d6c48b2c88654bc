import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Bytes from "../../src/core/data/Bytes.ts"
import type { Endpoint } from "../../src/core/data/Endpoint.ts"
import * as BeaconMessage from "../../src/protocol/wire/BeaconMessage.ts"
import * as IpcRequest from "../../src/protocol/wire/IpcRequest.ts"
import * as TunnelFrame from "../../src/protocol/wire/TunnelFrame.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { echo, payload, serveEcho } from "../sim/Programs.ts"
import * as Arb from "../support/Arbitraries.ts"
import * as IpcRig from "../support/IpcRig.ts"
import * as Corpus from "./Corpus.ts"
import * as Mutation from "./Mutation.ts"
import { chunks } from "./Oracle.ts"
import * as Random from "./Random.ts"
import { INPUTS, SEED } from "./Suite.ts"

const PORT = 4000
const BYTES = payload(20_000, 9)
const BEACON_PORT = 9001
/** Nobody lives there. */
const STRANGERS: ReadonlyArray<Endpoint> = [1, 2, 3].map((host) => ({ host: `198.18.250.${host}`, port: 4000 + host }))
/** IPv4 and UDP. */
const HEADERS_BYTES = 28
const ROUNDS = 10
/** Requests on one connection. */
const PER_CLIENT = 10

describe("whole nodes and a rendezvous", () => {
  it.effect(`go on under changed datagrams, and are no weapon against others (seed ${SEED})`, () =>
    SimNet.run({ seed: SEED % 2 ** 31 }, (net) =>
      Effect.gen(function* () {
        const next = Random.make(SEED)
        const captured: Array<Uint8Array> = []
        const places = new Map<string, Endpoint>()
        const senders: Array<Endpoint> = [...STRANGERS]
        const budgets = new Map(STRANGERS.map(({ host }) => [host, { in: 0, out: 0 }]))
        yield* net.tap(({ bytes, port, sender, to }) => {
          if (captured.length < 3000) captured.push(bytes.slice())
          else captured[next(captured.length)] = bytes.slice()
          const budget = budgets.get(to.host)
          if (budget !== undefined) budget.out += bytes.length + HEADERS_BYTES
          else places.set(`${to.host}:${to.port}`, to)
          if (senders.length < 40) senders.push({ host: sender.address, port })
        })
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main: serveEcho(PORT) })
        yield* net.trust(a, b)
        assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, BYTES)), BYTES), 0)
        const made = [
          ...Corpus.generated(Arb.tunnelFrame, TunnelFrame.encode),
          ...Corpus.generated(Arb.beaconMessage, BeaconMessage.encode)
        ]

        let injected = 0
        for (let round = 0; round < ROUNDS; round++) {
          const targets = [...places.values()]
          assert.isTrue(targets.some(({ port }) => port === BEACON_PORT))
          for (let count = Math.ceil((INPUTS * 0.03) / ROUNDS); count > 0; count--) {
            const bytes =
              next(5) === 0
                ? Random.pick(captured, next)
                : Mutation.make(next(3) === 0 ? made : captured, next, "binary")
            const from = next(2) === 0 ? Random.pick(STRANGERS, next) : Random.pick(senders, next)
            const budget = budgets.get(from.host)
            if (budget !== undefined) budget.in += bytes.length + HEADERS_BYTES
            yield* net.inject(from, Random.pick(targets, next), bytes.slice(0, 1400))
            injected++
            if (next(20) === 0) yield* net.sleep(Random.pick([1, 20, 300], next))
          }
          for (const [host, budget] of budgets)
            assert.isAtMost(budget.out, 3 * budget.in, `${host} sent ${budget.in} bytes`)
          assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, BYTES)), BYTES), 0)
        }
        assert.isAtLeast(injected, INPUTS * 0.03)
        assert.isAbove(Math.max(...[...budgets.values()].map(({ out }) => out)), 0, "strangers are answered, too")
      })
    )
  )
})

describe("a daemon's socket", () => {
  it.effect(`answers on after changed requests in pieces of any size (seed ${SEED})`, () =>
    Effect.scoped(
      Effect.gen(function* () {
        const next = Random.make(SEED)
        const rig = yield* IpcRig.make
        const requests = Corpus.generated(Arb.ipcRequest, IpcRequest.encode)
        for (let count = Math.ceil(INPUTS * 0.01); count > 0; count -= PER_CLIENT) {
          const inputs = Array.from({ length: PER_CLIENT }, () => Mutation.make(requests, next, "json"))
          const pieces = inputs.flatMap((bytes) => chunks(bytes, next))
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* rig.connect
              // A daemon that waits for an answer reads no more: that is its right, and no reason to wait for it.
              yield* Effect.forkScoped(Effect.forEach(pieces, (piece) => client.sendHex(Bytes.toHex(piece))))
              yield* TestClock.adjust("1 minute")
              yield* client.hangUp
            })
          )
        }
        const client = yield* rig.connect
        yield* client.send({ _tag: "Health" })

        assert.strictEqual((yield* client.next)._tag, "Answer")
      })
    )
  )
})
