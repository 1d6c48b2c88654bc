/** What a node offers to programs that expose MCP servers. `Mcp.expose` is its face for users. */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { AllowedPeer, Service } from "../actors/mcp/keeper/ServiceTable.ts"
import type { CannotStart, Child } from "../actors/mcp/server/Child.ts"
import type { Caller } from "./Caller.ts"

export { Caller } from "./Caller.ts"

/** A server cannot be exposed. */
export class ExposeError extends Schema.TaggedError<ExposeError>()("ExposeError", {
  /**
   * `Invalid`: a name or a pattern is none. `UnknownPeer`: no key is known for a peer that is to be allowed. `Taken`: the
   * name or the port is in use. `Unavailable`: no daemon, or no keeper. `Ended`: it was exposed, and is no more.
   * `NotWaiting`: there is no such question now, or it cannot be decided so.
   */
  reason: Schema.Literals(["Invalid", "UnknownPeer", "Taken", "Unavailable", "Ended", "NotWaiting"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** A service that peers can use. `ended` fails when they can do so no more although the scope goes on. */
export interface Exposed {
  readonly ended: Effect.Effect<never, ExposeError>
}

/** A call that waits until a person, or a program in their place, allows it. What comes from the peer is untrusted text. */
export interface Question {
  readonly id: string
  readonly service: string
  readonly node: number
  /** How the peer calls itself, or its address. */
  readonly peer: string
  /** Of the key that it is trusted under; empty when it cannot be told. */
  readonly fingerprint: string
  readonly tool: string
  /** Raw JSON text of everything that the server would get, but for the tool's name and `_meta`. */
  readonly parameters: string
  /** SHA-256 of the tool's definition, hex; undefined if the server does not list it. */
  readonly definitionHash: string | undefined
  /** Then it is denied by itself, in milliseconds since 1970. */
  readonly expiresAtMs: number
}

/** Decides about a call; `always` and `never` about all calls like it, until the tool's definition changes. */
export type Verdict = "allow" | "deny" | "always" | "never"

/** Makes a server for one client, in the surrounding scope. */
export type Open = (caller: Caller["Service"]) => Effect.Effect<Child, CannotStart, Scope.Scope>

/** Exposes servers beside a node. */
export class McpHost extends Context.Service<
  McpHost,
  {
    /** The key that stands behind the peer now; that key is allowed, whatever the name leads to later. */
    readonly peer: (target: string) => Effect.Effect<AllowedPeer, ExposeError>
    /** The calls that wait because their service wants them approved (`Access.ask`). */
    readonly approvals: {
      readonly waiting: Effect.Effect<ReadonlyArray<Question>, ExposeError>
      readonly decide: (id: string, verdict: Verdict) => Effect.Effect<void, ExposeError>
    }
    /**
     * Exposes the service until the scope ends. `open` serves those of programs.
     */
    readonly hold: (service: Service, open: Open | undefined) => Effect.Effect<Exposed, ExposeError, Scope.Scope>
  }
>()("effect-pilot/api/McpHost") {}
