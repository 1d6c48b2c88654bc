/**
 * The secure channel of the Pilot Protocol (wire §14): a stream, on port 443 unless told otherwise, with keys of its own
 * inside the tunnel's. Peers of the reference speak it in both roles. Between our own nodes the tunnel already encrypts and
 * says who the peer is; this adds keys that live no longer than the stream.
 */
import { Effect, Option, type Scope, Stream } from "effect"
import { ConnectionReset, type DialError, type PortInUse } from "../actors/node/Node.ts"
import * as SecureStream from "../actors/services/SecureStream.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import * as Connection from "./Connection.ts"
import { type DialOptions, Pilot, type PilotError } from "./PilotService.ts"

export { SecureChannelError } from "../actors/services/SecureStream.ts"

/** A channel to a peer, as a stream like any other. What breaks it is a `ConnectionReset` with reason `ProtocolViolated`. */
export const dial = Effect.fn("Secure.dial")(function* (
  target: string,
  options: DialOptions & { readonly port?: number } = {}
): Effect.fn.Return<
  Connection.Connection,
  ConnectionReset | DialError | PilotError | SecureStream.SecureChannelError,
  Pilot | Scope.Scope
> {
  const { port = SecureStream.PORT, ...rest } = options
  const pilot = yield* Pilot
  const connection = yield* pilot.dial(target, port, rest)
  return yield* over(connection, "client", yield* pilot.keyScheme(target))
})

/**
 * The channels that peers open to a port of this node; one that does not come about is closed, and nobody hears of it. They
 * end with the stream of channels.
 */
export const listen = (
  port: number = SecureStream.PORT
): Stream.Stream<Connection.Connection, PortInUse | PilotError, Pilot> =>
  Stream.unwrap(
    Effect.map(Pilot, (pilot) =>
      pilot.listen(port).pipe(
        Stream.mapEffect(
          (connection) =>
            Effect.flatMap(pilot.keyScheme(connection.remote), (scheme) => over(connection, "server", scheme)).pipe(
              Effect.tapError(({ message }) =>
                Effect.andThen(
                  connection.close,
                  Effect.logDebug(`secure channel from ${connection.remote}: ${message}`)
                )
              ),
              Effect.option
            ),
          { concurrency: OPENING_MAX, unordered: true }
        ),
        Stream.flatMap(Option.match({ onNone: () => Stream.empty, onSome: (channel) => Stream.make(channel) }))
      )
    )
  )

/** The channel over a connection that is there already, as either end of it. */
export const over = Effect.fnUntraced(function* (
  connection: Connection.Connection,
  role: "client" | "server",
  scheme: SecureStream.Options["scheme"]
): Effect.fn.Return<Connection.Connection, ConnectionReset | SecureStream.SecureChannelError> {
  const crypto = Option.getOrElse(yield* Effect.serviceOption(Crypto), () => NativeCrypto.crypto)
  const channel = yield* SecureStream.open(connection.duplex, { role, crypto, scheme })
  const told = <E>(error: E | SecureStream.SecureChannelError): E | ConnectionReset =>
    error instanceof SecureStream.SecureChannelError
      ? new ConnectionReset({ reason: error.reason === "Truncated" ? "Truncated" : "ProtocolViolated" })
      : error
  return Connection.fromDuplex(
    {
      read: Effect.mapError(channel.read, told),
      write: (bytes) => Effect.mapError(channel.write(bytes), told),
      end: channel.end
    },
    connection
  )
})

/** Channels whose keys are under way at once; more wait to be accepted. */
const OPENING_MAX = 64
