/** Asking the running gateway. */
import { Effect } from "effect"
import * as GatewayControl from "../../actors/gateway/GatewayControl.ts"
import * as CliError from "../CliError.ts"
import type { CliHost } from "../CliHost.ts"
import type { Environment } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as ControlSocket from "../ControlSocket.ts"

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
    const { Reply: reply, Request } = GatewayControl
    const asked = { name: "gateway", path: yield* socketPath, request: Request, reply, timeout: REPLY_TIMEOUT } as const
    return yield* ControlSocket.ask(asked, request)
  })

/** A name may take as long as a look-up takes. */
const REPLY_TIMEOUT = "40 seconds"
