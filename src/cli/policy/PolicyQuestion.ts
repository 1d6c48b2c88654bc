/** What `policy test` asks: `--service mcp/files/write_file` in its parts, and whether it was exposed to the peer. */
import { Effect } from "effect"
import type * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"

/** As the daemon takes it. */
export interface Question {
  readonly service: string
  readonly port?: number
  readonly target?: string
  readonly tool?: string
  readonly arguments?: Json.JsonObject
}

/** The question of a command line. */
export const of = Effect.fnUntraced(function* (
  text: string,
  args: ReadonlyArray<string>
): Effect.fn.Return<Question & Json.JsonObject, CliError.CliError> {
  const [head = "", second = "", ...rest] = text.split("/")
  const given = Object.fromEntries(
    args.map((arg) => {
      const equals = arg.indexOf("=")
      return equals < 0 ? [arg, ""] : [arg.slice(0, equals), arg.slice(equals + 1)]
    })
  )
  const after = rest.join("/")
  switch (head) {
    case "port":
    case "gateway":
    case "datagram": {
      if (!/^\d{1,5}$/.test(second) || after !== "") return yield* wrong(text)
      return { service: head === "datagram" ? head : "port", port: Number(second) }
    }
    case "echo":
    case "messages":
      return second === "" ? { service: head } : yield* wrong(text)
    case "files":
    case "events":
      return after === "" ? { service: `${head}/${second}` } : { service: `${head}/${second}`, target: after }
    case "tasks":
      return text === head ? { service: head } : { service: head, target: text.slice(head.length + 1) }
    case "mcp":
      return {
        service: head,
        ...(second === "" ? {} : { target: second }),
        ...(after === "" ? {} : { tool: after, arguments: given })
      }
    default:
      return yield* wrong(text)
  }
})

/** Whether a share or an MCP service was exposed to the key; undefined for what every trusted peer may use. */
export const exposure = Effect.fnUntraced(function* (
  { service, target = "" }: Question,
  publicKey: string | undefined
): Effect.fn.Return<boolean | undefined, CliError.CliError, Environment> {
  const { home } = yield* ConfigFile.directory
  if (publicKey === undefined || target === "") return undefined
  if (service === "files/pull") {
    const FileShares = yield* Effect.promise(() => import("../../actors/services/FileShares.ts"))
    const shares = yield* Effect.mapError(FileShares.load(home), ({ message }) => CliError.make("internal", message))
    const share = shares.find(({ name }) => name === target.split("/")[0])
    return share !== undefined && FileShares.isAllowed(share, [publicKey])
  }
  if (service !== "mcp") return undefined
  const { isAllowed, load } = yield* Effect.promise(() => import("../../actors/mcp/keeper/ServiceTable.ts"))
  const table = yield* Effect.mapError(load(`${home}/services.json`), (error) =>
    CliError.make("internal", String(error))
  )
  const exposed = table.get(target)
  return exposed !== undefined && isAllowed(exposed, [publicKey])
})

const wrong = (text: string) =>
  CliError.invalidArgument(
    `invalid --service ${JSON.stringify(text)}`,
    "port/8080, datagram/53, echo, messages, files/push, files/pull/SHARE, events/publish/TOPIC, events/subscribe/TOPIC, tasks/KIND, mcp/SERVER/TOOL"
  )
