/** What must hold when the minute is over: who may not come in does not, nothing comes twice, and paths are as good as can be. */
import assert from "node:assert/strict"
import { Effect, Queue } from "effect"
import { Node } from "../../src/actors/node/Node.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import type * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { answer, ask, initialize } from "./McpPrograms.ts"

/** A node whose address the registry shows reaches no port of one that does not trust it (security rule 3). */
export const strangerIsRefused = Effect.fnUntraced(function* (stranger: SimNode, host: SimNode, port: number) {
  const refused = yield* stranger.run(Effect.flip(Effect.scoped(Pilot.dial(host.name, port))))
  assert.equal(refused._tag === "DialError" ? refused.reason : refused._tag, "Untrusted")
})

/** A trusted peer that the owner has not named gets nothing of a service (security rule 3). */
export const unnamedIsRefused = Effect.fnUntraced(function* (
  net: SimNet.SimNet,
  peer: SimNode,
  host: SimNode,
  service: string
) {
  const client = yield* net.connect(peer, host.name, service)
  yield* Effect.ignore(initialize(client))
  yield* ask(client, 1, "please", 0)
  const [, outcome] = yield* answer(client)
  assert.equal(outcome._tag, "Failed", "a peer that nobody named is served")
}, Effect.scoped)

/** Two nodes that can reach each other do so without the relay, at the latest some seconds after the last disturbance. */
export const pathIsDirect = Effect.fnUntraced(function* (asking: SimNode, asked: SimNode) {
  for (let tries = 0; tries < SETTLE_SECONDS; tries++) {
    const ping = yield* Effect.option(asking.run(Pilot.ping(asked.name)))
    if (ping._tag === "Some" && ping.value.path === "direct") return
    yield* Effect.sleep("1 second")
  }
  assert.fail(`${asking.name} > ${asked.name} stays on the relay`)
})

/** What the links double reaches the user once (wire §6.3). */
export const nothingComesTwice = Effect.fnUntraced(function* (from: SimNode, to: SimNode) {
  const seen = new Set<string>()
  let repeated = 0
  const collect = Effect.gen(function* () {
    const datagrams = yield* Effect.flatMap(Node, (node) => node.datagrams(DATAGRAMS))
    while (true) {
      const text = new TextDecoder().decode((yield* Queue.take(datagrams)).payload)
      if (seen.has(text)) repeated++
      seen.add(text)
    }
  })
  yield* Effect.forkScoped(to.run(Effect.scoped(collect)), { startImmediately: true })
  const there = yield* to.run(Effect.flatMap(Node, ({ address }) => address))
  for (let index = 0; index < DATAGRAMS; index++) {
    const bytes = new TextEncoder().encode(String(index))
    yield* from.run(Effect.flatMap(Node, (node) => node.sendDatagram(there, Address.Port(9), bytes)))
    yield* Effect.sleep("10 millis")
  }
  yield* Effect.sleep("2 seconds")
  assert.ok(seen.size > DATAGRAMS / 2, `${seen.size} of ${DATAGRAMS} datagrams arrived`)
  assert.equal(repeated, 0, `${repeated} datagrams came twice`)
}, Effect.scoped)

const DATAGRAMS = 500
const SETTLE_SECONDS = 30
