/**
 * The golden exchanges of the reference's registry (rendezvous §4, captured in February 2026), replayed over TCP against
 * ours, under every compatibility option. Where ours answers otherwise it is in `DEVIATIONS`, with the reason.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { RendezvousConfig } from "../../src/actors/layers/RendezvousConfig.ts"
import * as RendezvousLayer from "../../src/actors/layers/RendezvousLayer.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as GoJson from "../../src/core/data/GoJson.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as RawRegistry from "../support/RawRegistry.ts"
import vectors from "../vectors/rendezvous.json" with { type: "json" }

type Vector = (typeof vectors.registry)[number]

/** What ours answers instead; `undefined` stands for a refusal. */
const DEVIATIONS: Readonly<Record<string, { readonly reason: string; readonly reply: Json.JsonObject | undefined }>> = {
  register_taken_hostname: {
    reason: "a taken name is reported, not silently dropped (§4.1 better)",
    reply: {
      address: "0:0000.0000.0003",
      hostname_error: 'hostname "bob-host" already in use',
      network_id: 0,
      node_id: 3,
      public_key: vectors.keys.carol.public_b64,
      type: "register_ok"
    }
  },
  register_owner_takeover: {
    reason: "a live node is never taken over by an owner text; the new key gets an id of its own (§4.1 better)",
    reply: {
      address: "0:0000.0000.0005",
      network_id: 0,
      node_id: 5,
      public_key: vectors.keys.erin.public_b64,
      type: "register_ok"
    }
  },
  resolve_private_trusted: { reason: "one side alone makes no pair (§4.8 better)", reply: undefined },
  punch: { reason: "punch follows the rule of resolve, and there is no pair yet (§4.7 better)", reply: undefined },
  punch_private_untrusted: { reason: "punch follows the rule of resolve (§4.7 better)", reply: undefined },
  set_polo_score: { reason: "reputation is set by the operator only (§4.13 better)", reply: undefined },
  list_networks: {
    reason: "custom networks are off, and the node that was not taken over is a fifth member",
    reply: {
      networks: [{ id: 0, join_rule: "open", members: 5, name: "backbone" }],
      type: "list_networks_ok"
    }
  },
  list_nodes_network: { reason: "custom networks are off", reply: undefined },
  ...Object.fromEntries(
    Array.from({ length: 10 }, (_, index) => rateDeviation(index)).concat([
      ["register_rate_known_key", rateDeviation(0)[1]]
    ])
  )
}

/** Ids are one higher since `register_owner_takeover`. */
function rateDeviation(index: number): [string, { readonly reason: string; readonly reply: Json.JsonObject }] {
  const id = 6 + index
  const reply = {
    address: `0:0000.0000.${id.toString(16).toUpperCase().padStart(4, "0")}`,
    network_id: 0,
    node_id: id,
    public_key: Bytes.toBase64(new Uint8Array(32).fill(0xc8 + index)),
    type: "register_ok"
  }
  return [`register_rate_${index + 1}`, { reason: "one id more was given out before", reply }]
}

/** Log reasons that ours words otherwise. */
const OTHER_DETAILS: ReadonlySet<string> = new Set([
  "heartbeat_bad_base64",
  "create_network",
  "join_network",
  "leave_network",
  "subscribe_replication_unconfigured"
])

const config = Schema.decodeSync(RendezvousConfig)({
  registryAddr: "127.0.0.1:0",
  beaconAddr: "127.0.0.1:0",
  compatUnsignedRegister: "true",
  compatOwnerTakeover: "true",
  compatUnboundRotation: "true",
  compatOpenPolo: "true"
})

/** Members that ours adds for newer clients. */
const ADDED = ["code", "detail", "observed_addr", "protocol_version"]

const reduced = (text: string, isError: boolean): string => {
  const reply = Json.parseObject(text) ?? {}
  // The bytes are those of the reference: members in order, the same characters escaped.
  assert.strictEqual(text, GoJson.encode(reply))
  const kept = Object.entries(reply).filter(([name]) => !ADDED.includes(name) || (!isError && name === "detail"))
  return withoutTimes(GoJson.encode(Object.fromEntries(kept)))
}

const withoutTimes = (text: string): string => text.replace(/"(time|timestamp)":\d+/g, '"$1":0')

const expected = ({ name, response_body_text }: Vector): string => {
  const deviation = DEVIATIONS[name]
  if (deviation === undefined) return withoutTimes(response_body_text ?? "closed")
  return GoJson.encode(deviation.reply ?? { error: "request failed", type: "error" })
}

const sourceOf = ({ name }: Vector): string => {
  if (name.startsWith("register_rate_")) return "127.0.0.9"
  return name === "register_owner_hostname" || name === "register_owner_takeover_back" ? "127.0.0.3" : "127.0.0.1"
}

const requestText = ({ name, request, request_body_text }: Vector): string => {
  if (request_body_text !== undefined) return request_body_text
  if (name !== "max_frame") return JSON.stringify(request)
  const text = '{"type":"beacon_list","pad":""}'
  return text.replace('""', `"${"a".repeat(1_048_576 - text.length)}"`)
}

/** The rate vectors name the first, tenth and eleventh of eleven; the reference was sent them all. */
const withAllRates = (list: ReadonlyArray<Vector>): ReadonlyArray<Vector> =>
  list.flatMap((vector) =>
    vector.name !== "register_rate_1"
      ? [vector]
      : Array.from({ length: 9 }, (_, index) => {
          const publicKey = Bytes.toBase64(new Uint8Array(32).fill(0xc8 + index))
          const request = { ...vector.request, listen_addr: `:${5000 + index}`, public_key: publicKey }
          return { name: `register_rate_${index + 1}`, about: vector.about, request } as Vector
        })
  )

const play = Effect.fnUntraced(function* (vector: Vector, port: number) {
  const connection = yield* RawRegistry.open(port, sourceOf(vector))
  if (vector.name === "oversized_frame") {
    connection.send(Uint8Array.of(0x00, 0x10, 0x00, 0x01))
    return assert.strictEqual(yield* connection.next, "closed", vector.name)
  }
  if (vector.requests !== undefined) {
    connection.send(Bytes.concat(...vector.requests.map((request) => RawRegistry.frame(JSON.stringify(request)))))
    const scores = [yield* connection.next, yield* connection.next].map(
      (text) => Json.parseObject(text)?.["polo_score"]
    )
    // The first was not set to 42: see `set_polo_score`.
    return assert.deepStrictEqual(scores, [4, 0])
  }
  const text = yield* connection.ask(requestText(vector))
  const closes = vector.connection_closed_without_reply === true
  if (closes) return assert.strictEqual(text, "closed", vector.name)
  assert.strictEqual(reduced(text, text.includes('"type":"error"')), expected(vector), vector.name)
  if (
    vector.internal_reason !== undefined &&
    !OTHER_DETAILS.has(vector.name) &&
    DEVIATIONS[vector.name] === undefined
  ) {
    assert.strictEqual(Json.parseObject(text)?.["detail"], vector.internal_reason, vector.name)
  }
  if (vector.name.startsWith("subscribe_replication")) assert.strictEqual(yield* connection.next, "closed")
}, Effect.scoped)

describe("RegistryServerActor", () => {
  it.live("answers every exchange of the reference as the reference did, but for the listed deviations", () =>
    Effect.gen(function* () {
      const { registry } = yield* RendezvousLayer.start(config)
      for (const vector of withAllRates(vectors.registry)) yield* play(vector, registry.port)
      assert.isAbove(vectors.registry.length, 90)
    }).pipe(Effect.scoped)
  )

  it.live("accepts the newer signed registration", () =>
    Effect.gen(function* () {
      const { registry } = yield* RendezvousLayer.start({ ...config, compatUnsignedRegister: false })
      const signed = vectors.newer.find(({ name }) => name === "register_signed")
      const connection = yield* RawRegistry.open(registry.port)
      const reply = Json.parseObject(yield* connection.ask(JSON.stringify(signed?.request)))
      assert.deepInclude(reply, { type: "register_ok", node_id: 1 })
    }).pipe(Effect.scoped)
  )
})
