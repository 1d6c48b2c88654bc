import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as RowTable from "../../../src/actors/registry/RowTable.ts"
import * as GoJson from "../../../src/core/data/GoJson.ts"
import * as Json from "../../../src/core/data/Json.ts"
import { type Change, noRows } from "../../../src/protocol/registry/Change.ts"
import type { NodeRecord } from "../../../src/protocol/registry/NodeRecord.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import type { RegistryRequest } from "../../../src/protocol/wire/RegistryRequest.ts"
import { element, integer, json, oneOf } from "../../support/Arbitraries.ts"
import { Desk, keyText, register, sign, signed, unsignedRegister } from "../../support/RegistryRequests.ts"

const SEEDS = [1, 2, 3, 4, 5]
const NAMES = ["alpha", "beta", "Gamma", ""]
const seed = element(...SEEDS)
// Few ids, so that operations of one trace meet.
const node = Arbitrary.map(oneOf(integer(1, 3), integer(1, 3), integer(0, 7)), NodeId)
const truth = element(true, false)

/** One move of a trace: somebody asks something, or time passes. */
type Move =
  | { readonly request: RegistryRequest; readonly seed: number; readonly host: number }
  | { readonly object: Json.JsonObject; readonly host: number }
  | { readonly passMs: number }

const request: Arbitrary.Arbitrary<RegistryRequest> = Arbitrary.map(
  Arbitrary.all({ id: node, peer: node, name: element(...NAMES), truth, kind: integer(0, 14) }),
  ({ id, kind, name, peer, truth }): RegistryRequest => {
    const report: RegistryRequest = { _tag: "ReportTrust", node: id, peer, signature: "" }
    const resolve: RegistryRequest = { _tag: "Resolve", node: id, requester: peer, signature: "" }
    const requests: ReadonlyArray<RegistryRequest> = [
      report,
      resolve,
      report,
      resolve,
      { _tag: "Heartbeat", node: id, signature: "" },
      { _tag: "Deregister", node: id, signature: "" },
      { _tag: "Lookup", node: id },
      { _tag: "ResolveHostname", hostname: name, requester: peer },
      { _tag: "SetHostname", node: id, hostname: name, signature: "" },
      { _tag: "SetVisibility", node: id, isPublic: truth, signature: "" },
      { _tag: "RevokeTrust", node: id, peer, signature: "" },
      { _tag: "RequestHandshake", from: id, to: peer, justification: name, signature: "" },
      { _tag: "PollHandshakes", node: id, signature: "" },
      { _tag: "RespondHandshake", node: id, peer, accept: truth, signature: "" },
      { _tag: "Punch", requester: id, a: id, b: peer, signature: "" }
    ]
    return requests[kind]!
  }
)
const host = integer(1, 3)
const asking: Arbitrary.Arbitrary<Move> = Arbitrary.all({ request, seed, host })
const registering: Arbitrary.Arbitrary<Move> = oneOf(
  Arbitrary.map(Arbitrary.all({ seed, hostname: element(...NAMES), host }), ({ host, hostname, seed }) => ({
    object: register(seed, { hostname, lan: [`10.0.0.${seed}:${4000 + seed}`] }),
    host
  })),
  Arbitrary.map(Arbitrary.all({ seed, owner: element("", "owner"), host }), ({ host, owner, seed }) => ({
    object: unsignedRegister(seed, { owner }),
    host
  }))
)
const rotating: Arbitrary.Arbitrary<Move> = Arbitrary.map(
  Arbitrary.all({ seed, id: node, next: seed, host }),
  ({ host, id, next, seed }) => ({
    object: {
      type: "rotate_key",
      node_id: id,
      new_public_key: keyText(next),
      signature: sign(seed, `rotate:${id}:${keyText(next)}`)
    },
    host
  })
)
const passing: Arbitrary.Arbitrary<Move> = Arbitrary.map(element(1000, 60_000, 241_000), (passMs) => ({ passMs }))
const move = oneOf(asking, asking, asking, asking, asking, registering, registering, rotating, passing)
const trace = Arbitrary.map(
  Arbitrary.all({
    first: Arbitrary.array(registering, { maxLength: 6 }),
    moves: Arbitrary.array(move, { maxLength: 60 })
  }),
  ({ first, moves }) => [...first, ...moves]
)

/** Three times in four the node acting signs for itself, else somebody else does. */
const signedBy = (stored: RowTable.RowTable, { request, seed }: { request: RegistryRequest; seed: number }) => {
  const actor = stored.nodes.get(actorOf(request))?.publicKey[0]
  return signed(actor !== undefined && (seed + actor) % 4 > 0 ? actor : seed, request)
}

const actorOf = (request: RegistryRequest): number => {
  if (request._tag === "Resolve" || request._tag === "Punch") return request.requester
  if (request._tag === "RequestHandshake") return request.from
  return "node" in request ? request.node : 0
}

/** Plays a trace; `look` sees every request with what it led to. */
const play = (
  desk: Desk,
  moves: ReadonlyArray<Move>,
  look: (
    asked: Json.JsonObject,
    reply: Json.JsonObject,
    changes: ReadonlyArray<Change>,
    stored: RowTable.RowTable
  ) => void = () => {}
): RowTable.RowTable => {
  const stored = RowTable.make(noRows)
  for (const step of moves) {
    if ("passMs" in step) {
      desk.nowMs += step.passMs
      RowTable.apply(stored, desk.registry.sweep(desk.at))
    } else {
      const asked = "object" in step ? step.object : signedBy(stored, step)
      const { changes, reply } = desk.ask(asked, step.host)
      RowTable.apply(stored, changes)
      look(asked, reply, changes, stored)
    }
  }
  return stored
}

const lax = { allowUnsignedRegister: true, allowOwnerTakeover: true }

const places = ({ endpoint, lanAddresses }: NodeRecord) => [endpoint, ...lanAddresses]

/** What anybody and everybody can learn, polls included. */
const everything = (desk: Desk): ReadonlyArray<string> => {
  const ids = Array.from({ length: 8 }, (_, id) => NodeId(id))
  const requests: ReadonlyArray<RegistryRequest> = [
    ...ids.map((id): RegistryRequest => ({ _tag: "Lookup", node: id })),
    ...NAMES.map((hostname): RegistryRequest => ({ _tag: "ResolveHostname", hostname, requester: NodeId(0) })),
    ...ids.flatMap((id) =>
      ids.map((requester): RegistryRequest => ({ _tag: "Resolve", node: id, requester, signature: "" }))
    ),
    ...ids.map((id): RegistryRequest => ({ _tag: "PollHandshakes", node: id, signature: "" }))
  ]
  return requests.flatMap((asked) => SEEDS.map((seed) => GoJson.encode(desk.ask(signed(seed, asked)).reply)))
}

const runs = { arbitrary: { runs: 300, size: 60 } }

describe("Registry", () => {
  it.prop(
    "never gives one id to two keys, or one key two ids",
    { moves: trace },
    ({ moves }) => {
      const keyOf = new Map<number, string>()
      play(new Desk({ allowUnsignedRegister: true }), moves, (asked, reply) => {
        if (Json.string(asked, "type") === "rotate_key" && reply["type"] === "rotate_key_ok") {
          keyOf.set(Json.integer(asked, "node_id"), Json.string(asked, "new_public_key"))
        }
        if (reply["type"] !== "register_ok") return
        const id = Json.integer(reply, "node_id")
        const key = Json.string(asked, "public_key")
        const known = keyOf.get(id)
        assert.isTrue(known === undefined || known === key)
        assert.isTrue([...keyOf].every(([other, otherKey]) => other === id || otherKey !== key))
        keyOf.set(id, key)
      })
    },
    runs
  )

  it.prop(
    "lets at most one node hold a name",
    { moves: trace },
    ({ moves }) => {
      const desk = new Desk(lax)
      const stored = play(desk, moves)
      const names = [...stored.nodes.values()].map(({ hostname }) => hostname).filter((name) => name !== "")
      assert.strictEqual(new Set(names).size, names.length)
    },
    runs
  )

  it.prop(
    "shows no endpoint of a private node except to nodes it trusts and that trust it (rendezvous §4.6)",
    { moves: trace },
    ({ moves }) => {
      play(new Desk(lax), moves, (asked, reply, _, stored) => {
        if (reply["type"] === "register_ok") return
        const text = GoJson.encode(reply)
        const requester = Json.integer(asked, "requester_id")
        const trusts = (a: number, b: number) => stored.trust.has(`${a} ${b}`) && stored.trust.has(`${b} ${a}`)
        const records = [...stored.nodes.values()]
        const isAllowed = ({ id, isPublic }: NodeRecord) => isPublic || id === requester || trusts(id, requester)
        // A key that was rotated away may register again from the same place, under another id.
        const allowed = new Set(records.filter(isAllowed).flatMap(places))
        const hidden = records.flatMap(places).filter((place) => !allowed.has(place))
        for (const place of hidden) assert.isFalse(text.includes(`"${place}"`), `${GoJson.encode(asked)} → ${text}`)
      })
    },
    runs
  )

  it.prop(
    "comes back from its stored rows as it was",
    { moves: trace },
    ({ moves }) => {
      const desk = new Desk(lax)
      const stored = play(desk, moves)
      const again = new Desk(lax, RowTable.rows(stored))
      again.nowMs = desk.nowMs
      assert.deepStrictEqual(everything(again), everything(desk))
    },
    { arbitrary: { runs: 100, size: 60 } }
  )

  it.prop(
    "stores nothing for a refused request",
    { moves: trace },
    ({ moves }) => {
      play(new Desk(lax), moves, (_, reply, changes) => {
        if (reply["type"] === "error") assert.deepStrictEqual(changes, [])
      })
    },
    runs
  )

  it.prop(
    "answers any object with an object, and refuses with the reference's text (rendezvous §2.3)",
    {
      fields: json
    },
    ({ fields }) => {
      const { reply } = new Desk(lax).ask(Json.isObject(fields) ? fields : { type: fields })
      assert.isTrue(typeof reply["type"] === "string")
      if (reply["type"] === "error") assert.strictEqual(reply["error"], "request failed")
    }
  )
})
