/** TCP on this host, for gateways: half-closed streams, back-pressure, and resets that are told apart from ends. */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"
import type { Duplex } from "./Duplex.ts"

/** Why a connection or a port cannot be had, or how a connection ended before its end. */
export class TcpError extends Schema.TaggedError<TcpError>()("TcpError", {
  reason: Schema.Literals([
    "Refused",
    "TimedOut",
    "Unreachable",
    /** The other side, or this one, dropped the connection with data under way. */
    "Reset",
    "PortInUse",
    "AddressNotAvailable",
    "PermissionDenied",
    /** This process has as many files open as it may. */
    "TooManyFiles",
    "Other"
  ]),
  detail: Schema.String
}) {}

/** One connection. Its scope closes it. */
export interface TcpConnection extends Duplex<TcpError> {
  readonly remote: Endpoint
  /** Drops it, the other side reads an error and no end. Idempotent. */
  readonly reset: Effect.Effect<void>
}

/** A bound port. */
export interface TcpListener {
  readonly local: Endpoint
  /** The next connection, to be closed by whoever takes it (`use` of `TcpConnection`). */
  readonly accept: Effect.Effect<TcpConnection>
}

/** Opens and accepts connections. */
export class Tcp extends Context.Service<
  Tcp,
  {
    readonly connect: (to: Endpoint) => Effect.Effect<TcpConnection, TcpError, Scope.Scope>
    /** Port 0 is a free one. At most `backlog` connections wait to be accepted; what comes on top is reset. */
    readonly listen: (at: Endpoint, backlog: number) => Effect.Effect<TcpListener, TcpError, Scope.Scope>
  }
>()("effect-pilot/core/net/Tcp") {}
