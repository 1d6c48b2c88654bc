/** Streams to port 1001 of a peer for commands: trust is earned if need be, and each but the first has a client of its own. */
import { Effect } from "effect"
import type { Dial } from "../../actors/services/client/Attempts.ts"
import type { TransferError } from "../../actors/services/client/TransferError.ts"
import * as Provided from "../../core/actor/Provided.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import type { Environment, Input } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as Values from "../Values.ts"

/** The port of data exchange (wire §2). */
export const PORT = 1001

/** A peer as a command names it. */
export interface Target {
  readonly address: Address.Address
  readonly dial: Dial<CliError.CliError>
}

/** Looks the peer up; nothing is dialled yet. */
export const target = Effect.fnUntraced(function* (
  input: Input,
  text: string
): Effect.fn.Return<Target, CliError.CliError, Environment> {
  const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
  const first = yield* DaemonClient.connect
  const address = yield* DaemonClient.target(first, input, text)
  const context = yield* Provided.services<Environment>()
  const shown = Address.format(address)
  let unused: DaemonClient.IpcClient | undefined = first
  const dial: Dial<CliError.CliError> = Effect.gen(function* () {
    const client = unused ?? (yield* DaemonClient.connect)
    unused = undefined
    const connection = yield* TrustFirst.dial(client, input, {
      address,
      text,
      port: PORT,
      timeout,
      failure: `cannot connect to ${shown} (data exchange port ${PORT})`,
      justification: "data exchange"
    })
    return { read: connection.read, write: connection.write, end: connection.end }
  }).pipe(Effect.provideContext(context))
  return { address, dial }
})

/** A transfer that failed, in the words of a command. */
export const failure = (error: TransferError): CliError.CliError => {
  switch (error.reason) {
    case "NotFound":
      return CliError.make("not_found", error.detail)
    case "AlreadyExists":
      return CliError.make(
        "already_exists",
        error.detail,
        "choose another place with --output, or replace it with --force"
      )
    case "TooLarge":
      return CliError.invalidArgument(error.detail)
    case "Unsupported":
      return CliError.make("unavailable", error.detail)
    case "Timeout":
      return CliError.make("timeout", error.detail)
    case "Lost":
      return CliError.make(
        "connection_failed",
        error.detail,
        "the same command goes on where this one stopped, once the peer is back"
      )
    case "Refused":
    case "Broken":
      return CliError.make("connection_failed", error.detail)
    default:
      return CliError.make("internal", error.detail)
  }
}

/** Either kind of failure. */
export const told = <A, R>(
  effect: Effect.Effect<A, CliError.CliError | TransferError, R>
): Effect.Effect<A, CliError.CliError, R> =>
  Effect.mapError(effect, (error) => (error._tag === "TransferError" ? failure(error) : error))

const DEFAULT_TIMEOUT = "30 seconds"
