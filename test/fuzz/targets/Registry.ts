/**
 * A whole registry, asked one mutated request after another by strangers: none of them changes what signed nodes have said
 * of themselves, and each leaves at most a row.
 */
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Authentication from "../../../src/protocol/registry/Authentication.ts"
import * as Registration from "../../../src/protocol/registry/Registration.ts"
import { Registry } from "../../../src/protocol/registry/Registry.ts"
import * as RegistryMessage from "../../../src/protocol/wire/RegistryMessage.ts"
import * as RegistryRequest from "../../../src/protocol/wire/RegistryRequest.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Requests from "../../support/RegistryRequests.ts"
import * as Corpus from "../Corpus.ts"
import type * as Fuzzer from "../Fuzzer.ts"
import * as Session from "../Session.ts"

/** Requests about the honest nodes: unsigned, signed with a key that is not theirs, and those of the vectors. */
const requests = (): ReadonlyArray<Uint8Array> => {
  const aimed = Corpus.generated(Arb.registryRequest, (request) =>
    Bytes.fromUtf8(JSON.stringify(near(RegistryRequest.toObject(request))))
  )
  const forged = aimed.map((bytes) => {
    const request = RegistryRequest.fromObject(Json.parseObject(Bytes.toUtf8Lossy(bytes)) ?? {})
    return Bytes.fromUtf8(JSON.stringify(Requests.signed(STRANGER, request)))
  })
  return [
    ...aimed,
    ...forged,
    ...Corpus.vectorJson(({ type }) => typeof type === "string"),
    ...Corpus.jsons(Requests.register(STRANGER, { hostname: "mallory" }), Requests.unsignedRegister(1))
  ]
}

/** The same of nodes that there are. */
const near = (object: Json.JsonObject): Json.JsonObject =>
  Object.fromEntries(
    Object.entries(object).map(([key, value]) => [key, typeof value === "number" ? 1 + (value % 5) : value])
  )

/** What anybody may ask about the honest nodes. */
const shown = (desk: Requests.Desk): Json.Json =>
  HONEST.map((node) => {
    const { last_seen: _, ...reply } = desk.ask({ type: "lookup", node_id: node }, OWN_HOST).reply
    return reply
  })

const play = (session: Session.Session): void => {
  samples ??= requests()
  const desk = new Requests.Desk()
  for (const node of HONEST) desk.ask(Requests.register(node, { hostname: `node-${node}` }), node)
  const before = shown(desk)
  session.check("the honest nodes are there", JSON.stringify(before).includes("node-2"))
  for (let turn = 0; turn < session.inputs; turn++) {
    const fields = RegistryMessage.decode(session.mutate(samples, "json"))
    desk.nowMs += session.next(200)
    if (Result.isFailure(fields)) continue
    const { changes, reply } = desk.ask(fields.success, STRANGE_HOST)
    RegistryMessage.encode(reply)
    session.check("one request makes few changes", changes.length <= CHANGES_MAX)
  }
  session.same("what honest nodes say of themselves", shown(desk), before)
  const { totalNodes } = desk.registry.statistics(desk.nowMs)
  session.check("no more nodes than requests", totalNodes <= HONEST.length + session.inputs)
}

/** The registry as one target. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Session.target({
    name: "registry/Registry",
    covers: [Registry, Registration.decode, Registration.decodeKey, Authentication.checkKey],
    inputs: 40,
    play
  })
]

let samples: ReadonlyArray<Uint8Array> | undefined
const HONEST = [1, 2, 3]
const STRANGER = 9
const OWN_HOST = 1
const STRANGE_HOST = 66
const CHANGES_MAX = 4
