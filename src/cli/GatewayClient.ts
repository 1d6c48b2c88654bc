/** Asking the running gateway. */
import { Effect, Result } from "effect"
import * as GatewayControl from "../actors/gateway/GatewayControl.ts"
import * as ControlLines from "../actors/mcp/ControlLines.ts"
import { LocalSocket } from "../core/net/LocalSocket.ts"
import * as CliError from "./CliError.ts"
import { CliHost } from "./CliHost.ts"
import type { Environment } from "./Command.ts"
import * as ConfigFile from "./ConfigFile.ts"

/** The control socket of this state directory. */
export const socketPath: Effect.Effect<string, never, CliHost> = Effect.map(
  ConfigFile.directory,
  ({ home }) => `${home}/${GatewayControl.SOCKET_NAME}`
)

/** What a running gateway answers; `hint` is for when none runs. */
export const ask = Effect.fnUntraced(function* (
  request: GatewayControl.Request,
  hint: string
): Effect.fn.Return<State, CliError.CliError, Environment> {
  const reply = yield* tryAsk(request)
  return reply ?? (yield* CliError.make("not_running", "gateway is not running", hint))
})

/** What a gateway that does as it is asked answers. */
export type State = Extract<GatewayControl.Reply, { readonly ok: true }>

/** The same; undefined when none runs. */
export const tryAsk = (
  request: GatewayControl.Request
): Effect.Effect<State | undefined, CliError.CliError, Environment> =>
  Effect.gen(function* () {
    const path = yield* socketPath
    const { effectiveUid, uid } = yield* CliHost
    const local = yield* LocalSocket
    const connected = yield* Effect.result(local.connect(path, [uid, effectiveUid]))
    if (Result.isFailure(connected)) {
      const { detail, reason } = connected.failure
      if (reason === "NotServed") return undefined
      const code = reason === "WrongOwner" || reason === "PermissionDenied" ? "permission_denied" : "connection_failed"
      return yield* CliError.make(code, `socket ${path}: ${detail}`)
    }
    const reply = yield* ControlLines.make(connected.success, GatewayControl.Reply, GatewayControl.Request).pipe(
      Effect.flatMap((lines) => Effect.andThen(lines.write(request), lines.read)),
      Effect.timeout(REPLY_TIMEOUT),
      Effect.mapError((error) => CliError.make("connection_failed", `the gateway does not answer: ${error.message}`))
    )
    return reply.ok ? reply : yield* CliError.make(CliError.codeOf(reply.code), reply.detail, reply.hint)
  }).pipe(Effect.scoped)

/** A name may take as long as a look-up takes. */
const REPLY_TIMEOUT = "40 seconds"
