/**
 * How commands talk to a running keeper: one JSON line each way on a socket that only the owner can open (mcp §8, rule 1).
 * No peer reaches it: commands are configuration of the owner, never data from the overlay.
 */
import { Schema } from "effect"
import { CallCounts } from "../../protocol/relay/CallMetrics.ts"
import { Remembered } from "./keeper/ApprovalFile.ts"
import { AllowedPeer, Service, StoredService } from "./keeper/ServiceTable.ts"

/**
 * `expose` adds or replaces a service; `stop` ends the keeper and keeps the services for its next start. `hold` exposes a
 * service as long as the connection lasts, on which the keeper then says `Opening` whenever a client of a program's server
 * comes; the program answers with `carry` on a connection of its own, whose further bytes are the server's lines.
 */
export const Request = Schema.Union([
  Schema.Struct({ op: Schema.Literal("expose"), service: StoredService }),
  Schema.Struct({ op: Schema.Literal("hold"), service: Service }),
  Schema.Struct({ op: Schema.Literal("carry"), ticket: Schema.String }),
  Schema.Struct({ op: Schema.Literal("unexpose"), name: Schema.String }),
  /** Lets one more peer use those of these services that are exposed; an invitation has promised them. */
  Schema.Struct({ op: Schema.Literal("allow"), names: Schema.Array(Schema.String), peer: AllowedPeer }),
  /**
   * With `calls`, the counts of calls are told as well, which may be long. With `look`, servers that were not looked at lately
   * are, and waited for a while.
   */
  Schema.Struct({
    op: Schema.Literal("status"),
    calls: Schema.optionalKey(Schema.Boolean),
    look: Schema.optionalKey(Schema.Boolean)
  }),
  /** The calls that wait for a person, and what was decided for good; with `id`, that question whole. */
  Schema.Struct({ op: Schema.Literal("approvals"), id: Schema.optionalKey(Schema.String) }),
  Schema.Struct({
    op: Schema.Literal("decide"),
    id: Schema.String,
    /** About this call, or about all calls like it. */
    verdict: Schema.Literals(["allow", "deny", "always", "never"])
  }),
  /** Forgets what was decided for good. */
  Schema.Struct({ op: Schema.Literal("revoke"), id: Schema.String }),
  Schema.Struct({ op: Schema.Literal("stop") })
])
/** What a keeper is asked. */
export type Request = typeof Request.Type

/** One client's session. `pid` is absent while no server runs for it. */
export const Session = Schema.Struct({
  service: Schema.String,
  node: Schema.Int,
  isIdle: Schema.Boolean,
  inFlight: Schema.Int,
  pid: Schema.optionalKey(Schema.Int),
  stderrTail: Schema.Array(Schema.String)
})
/** One client's session. */
export type Session = typeof Session.Type

/** What a circuit breaker has seen, at either end. Times in milliseconds since 1970. */
export const Breaker = Schema.Struct({
  breaker: Schema.Literals(["closed", "open", "half-open"]),
  reason: Schema.String,
  retryInMs: Schema.Number,
  answeredAtMs: Schema.optionalKey(Schema.Number),
  failedAtMs: Schema.optionalKey(Schema.Number),
  refused: Schema.Int
})

/** How calls of a service ended lately. */
export const Health = Schema.Struct({
  service: Schema.String,
  ...Breaker.fields,
  /** What was found when the keeper looked at the server itself; absent while it did not. */
  look: Schema.optionalKey(
    Schema.Struct({
      verdict: Schema.Literals(["healthy", "no-tools", "failing"]),
      tools: Schema.Int,
      reason: Schema.String,
      atMs: Schema.Number
    })
  )
})
/** How calls of a service ended lately. */
export type Health = typeof Health.Type

/** A call that waits for a person. Times in milliseconds since 1970; of texts only what is whole is told. */
export const Question = Schema.Struct({
  id: Schema.String,
  service: Schema.String,
  node: Schema.Int,
  /** Empty if it is not known now. */
  fingerprint: Schema.String,
  peer: Schema.String,
  tool: Schema.String,
  /** Raw JSON text of what the server would get; only of the question that was asked for. */
  parameters: Schema.optionalKey(Schema.String),
  parametersBytes: Schema.Int,
  definitionHash: Schema.optionalKey(Schema.String),
  askedAtMs: Schema.Number,
  expiresAtMs: Schema.Number
})
/** A call that waits for a person. */
export type Question = typeof Question.Type

/** The calls that wait, and what was decided for good. */
export const Approvals = Schema.Struct({ waiting: Schema.Array(Question), remembered: Schema.Array(Remembered) })
/** The calls that wait, and what was decided for good. */
export type Approvals = typeof Approvals.Type

/** What a keeper does now. `problems` are whole sentences: no daemon, a port in use. */
export const State = Schema.Struct({
  pid: Schema.Int,
  isConnected: Schema.Boolean,
  problems: Schema.Array(Schema.String),
  services: Schema.Array(Service),
  sessions: Schema.Array(Session),
  /** Absent from keepers of before there was any. */
  health: Schema.optionalKey(Schema.Array(Health)),
  /** Only if they were asked for. */
  calls: Schema.optionalKey(Schema.Array(CallCounts)),
  /** Only if they were asked for, or changed. */
  approvals: Schema.optionalKey(Approvals)
})
/** What a keeper does now. */
export type State = typeof State.Type

/** The state after the request, or why it was refused; `code` is one of the command line's. */
export const Reply = Schema.Union([
  Schema.Struct({ ok: Schema.Literal(true), state: State }),
  Schema.Struct({ ok: Schema.Literal(false), code: Schema.String, detail: Schema.String })
])
/** A keeper's answer. */
export type Reply = typeof Reply.Type

/** The peer that calls, as far as this node can tell for sure: its key is the one that node is trusted under. */
export const Caller = Schema.Struct({
  node: Schema.Int,
  address: Schema.String,
  /** Empty when it has no name, or the registry cannot be asked. */
  hostname: Schema.String,
  /** Empty when it is not known. */
  fingerprint: Schema.String,
  /** Ed25519, base64; empty when it is not known. Absent from keepers of before it was told. */
  publicKey: Schema.optionalKey(Schema.String)
})
/** The peer that calls. */
export type Caller = typeof Caller.Type

/** A client wants a server of the program that holds the service. */
export const Opening = Schema.Struct({ ticket: Schema.String, caller: Caller })
/** A client wants a server. */
export type Opening = typeof Opening.Type

/** Everything that a keeper says. */
export const Said = Schema.Union([Reply, Opening])
/** Everything that a keeper says. */
export type Said = typeof Said.Type

/** The socket's name in the state directory. */
export const SOCKET_NAME = "keeper.sock"
/** The keeper's log in the state directory. */
export const LOG_NAME = "keeper.log"
/** The words that make this program a keeper. */
export const RUN_WORDS = ["_keeper-run"] as const
