/** What a node offers to programs that expose MCP servers. `Mcp.expose` is its face for users. */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { AllowedPeer, Service } from "../actors/mcp/keeper/ServiceTable.ts"
import type { CannotStart, Child } from "../actors/mcp/server/Child.ts"

/** A server cannot be exposed. */
export class ExposeError extends Schema.TaggedError<ExposeError>()("ExposeError", {
  /**
   * `Invalid`: a name or a pattern is none. `UnknownPeer`: no key is known for a peer that is to be allowed. `Taken`: the
   * name or the port is in use. `Unavailable`: no daemon, or no keeper. `Ended`: it was exposed, and is no more.
   */
  reason: Schema.Literals(["Invalid", "UnknownPeer", "Taken", "Unavailable", "Ended"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** The peer whose call a handler works on. Its key was checked; nothing here is a claim of its own but the name. */
export class Caller extends Context.Service<
  Caller,
  {
    readonly node: number
    readonly address: string
    /** Empty when it has no name, or the registry cannot be asked. */
    readonly hostname: string
    /** Of the key that it is trusted under; empty when it cannot be told. */
    readonly fingerprint: string
  }
>()("effect-pilot/api/McpCaller") {}

/** A service that peers can use. `ended` fails when they can do so no more although the scope goes on. */
export interface Exposed {
  readonly ended: Effect.Effect<never, ExposeError>
}

/** Makes a server for one client, in the surrounding scope. */
export type Open = (caller: Caller["Service"]) => Effect.Effect<Child, CannotStart, Scope.Scope>

/** Exposes servers beside a node. */
export class McpHost extends Context.Service<
  McpHost,
  {
    /** The key that stands behind the peer now; that key is allowed, whatever the name leads to later. */
    readonly peer: (target: string) => Effect.Effect<AllowedPeer, ExposeError>
    /**
     * Exposes the service until the scope ends. `open` serves those of programs.
     */
    readonly hold: (service: Service, open: Open | undefined) => Effect.Effect<Exposed, ExposeError, Scope.Scope>
  }
>()("effect-pilot/api/McpHost") {}
