/**
 * What a session of one peer with one service is made of beside its server: its rules, what it is counted and recorded in,
 * who is asked about its calls. All sessions of a keeper share what is behind that.
 */
import { Clock, Effect, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Json from "../../../core/data/Json.ts"
import type * as AuditChain from "../../../protocol/relay/AuditChain.ts"
import { type CallCounts, CallMetrics, PeerCalls } from "../../../protocol/relay/CallMetrics.ts"
import { type Discovery, DiscoveryMemory } from "../../../protocol/relay/DiscoveryMemory.ts"
import * as Address from "../../../protocol/wire/Address.ts"
import type { Guard } from "../../policy/PolicyGuard.ts"
import type { Audit } from "../CallLedger.ts"
import type { Approvals } from "./Approvals.ts"
import type * as CallApproval from "./CallApproval.ts"
import { CallGate } from "./CallGate.ts"
import { CallPolicy } from "./CallPolicy.ts"
import * as ParkedCalls from "./ParkedCalls.ts"
import { PeerUsages } from "./PeerUsage.ts"
import * as ServiceTable from "./ServiceTable.ts"
import type * as SessionParking from "./SessionParking.ts"
import { ToolDefinitions } from "./ToolDefinitions.ts"

/** What a keeper is told of the world for that. */
export interface Options {
  /** How this host is called in errors to clients. */
  readonly self: string
  /** What a server is told of a caller, if its owner wants that, and a person who is asked about its calls. */
  readonly caller?: (remote: Address.Address) => Effect.Effect<Json.JsonObject>
  /** Of what calls ask for; absent: none is parked, and none approved for good. */
  readonly sha256?: AuditChain.Sha256
  /** Where calls are recorded. */
  readonly audit?: Audit
  /** Who is asked about calls that a person has to approve; absent: nobody, and they are denied. */
  readonly approvals?: Approvals
  /** The key under which this node trusts the peer, base64; undefined if it does not. */
  readonly peerKey?: (remote: Address.Address) => Effect.Effect<string | undefined>
  /** What the node's policy says of calls; absent: nothing. */
  readonly guard?: Guard
}

/** One session, as far as this goes. */
export interface Whose {
  readonly service: ServiceTable.Service
  readonly remote: Address.Address
  readonly session: string
  readonly epoch: number
}

/** The parts. */
export interface SessionParts {
  readonly gate: (whose: Whose) => Effect.Effect<CallGate>
  readonly discovery: (whose: Whose) => Discovery
  readonly parking: (whose: Whose) => SessionParking.Options | undefined
  readonly approve: (whose: Whose) => CallApproval.Approve | undefined
  /** The rules of the service as they are now. */
  readonly configure: (gate: CallGate, service: ServiceTable.Service, remote: Address.Address) => Effect.Effect<void>
  /** The calls of all services and peers since the start. */
  readonly calls: () => ReadonlyArray<CallCounts>
}

/** Those of one keeper. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<SessionParts, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const usages = new PeerUsages()
  const parked = yield* ParkedCalls.make
  const memory = new DiscoveryMemory<ServiceTable.Service>()
  const calls = new CallMetrics()
  const { approvals, audit, caller = () => Effect.succeed({}), guard, peerKey, sha256 } = options

  const configure: SessionParts["configure"] = (gate, service, remote) => {
    const { rules } = service
    // Nothing is asked for if the owner does not want it told.
    const told = rules?.identify === true ? Effect.asSome(caller(remote)) : Effect.succeedNone
    return Effect.map(told, (known) => gate.configure(rules, known._tag === "Some" ? known.value : undefined))
  }

  return {
    configure,
    gate: ({ epoch, remote, service, session }) => {
      const gate = new CallGate({
        service: service.name,
        self: options.self,
        usage: () => usages.of(service.name, remote.node, nowMs()),
        nowMs,
        node: remote.node,
        session,
        epoch,
        audit,
        calls: new PeerCalls(calls, { service: service.name, peer: Address.format(remote) }),
        policy: guard && new CallPolicy(guard, service.name, remote.node),
        definitions: sha256 === undefined || approvals === undefined ? undefined : new ToolDefinitions(sha256)
      })
      return Effect.as(configure(gate, service, remote), gate)
    },
    discovery: ({ remote: { node }, service }) => ({
      recall: (request, id) => memory.recall(service, node, request, id, nowMs()),
      note: (request, answer) => memory.note(service, node, request, answer, nowMs()),
      forget: () => memory.forget(service.name)
    }),
    parking: ({ remote, service }) =>
      sha256 === undefined ? undefined : { lot: parked, place: ParkedCalls.placeOf(service, remote.node), sha256 },
    approve: ({ remote, service, session }) =>
      approvals &&
      ((asked) =>
        Effect.gen(function* () {
          const known = yield* caller(remote)
          return yield* approvals.ask({
            ...asked,
            service: service.name,
            server: ServiceTable.server(service),
            node: remote.node,
            peer: Json.string(known, "hostname") || Address.format(Address.make(0, remote.node)),
            fingerprint: Json.string(known, "fingerprint"),
            peerKey: yield* peerKey?.(remote) ?? Effect.succeed(undefined),
            session
          })
        })),
    calls: () => calls.all()
  }
})
