/** `pilotctl mcp expose --url`: an MCP server that runs already, its place and its credentials (mcp §8, rules 3 and 10). */
import { Effect } from "effect"
import type * as ServiceTable from "../../actors/mcp/keeper/ServiceTable.ts"
import * as CallerHeaders from "../../protocol/mcp/CallerHeaders.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import type { Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** Either a command or a URL serves. */
export const NOT_BOTH = CliError.invalidArgument("--url and a command exclude each other", "give one of the two")

/** Place and headers of the server; header values come from the environment, so that they stand in no shell history. */
export const target = Effect.fnUntraced(function* (
  text: string,
  input: Input
): Effect.fn.Return<Pick<ServiceTable.UrlService, "url" | "headers">, CliError.CliError, CliHost> {
  const wrong = problemOf(text)
  if (wrong !== undefined)
    return yield* CliError.invalidArgument(`invalid --url ${JSON.stringify(text)}: ${wrong}`, URL_HINT)
  const { variables } = yield* CliHost
  const headers: Record<string, string> = {}
  for (const assignment of Values.texts(input, "header-env")) {
    const [, name, variable] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})=([A-Za-z_][A-Za-z0-9_]*)$/.exec(assignment) ?? []
    if (name === undefined || variable === undefined) {
      return yield* CliError.invalidArgument(
        `invalid --header-env ${JSON.stringify(assignment)}: NAME=VARIABLE is wanted`,
        "for example --header-env Authorization=MY_TOKEN with MY_TOKEN='Bearer …' in the environment"
      )
    }
    if (OURS.has(name.toLowerCase()) || name.toLowerCase().startsWith(CallerHeaders.PREFIX)) {
      return yield* CliError.invalidArgument(
        `--header-env ${name}: this header belongs to the protocol`,
        "leave it out: the bridge sets it itself"
      )
    }
    const value = variables[variable]
    if (value === undefined) {
      return yield* CliError.invalidArgument(`--header-env ${name}: ${variable} is not set`, `export ${variable} first`)
    }
    if (!/^[\t -~]*$/.test(value)) {
      return yield* CliError.invalidArgument(
        `--header-env ${name}: ${variable} holds characters that no header may have`,
        "visible ASCII, spaces and tabs"
      )
    }
    headers[name.toLowerCase()] = value
  }
  return { url: new URL(text).href, headers }
})

const problemOf = (text: string): string | undefined => {
  if (!URL.canParse(text)) return "it is none"
  const url = new URL(text)
  if (url.protocol !== "http:" && url.protocol !== "https:") return "http or https is wanted"
  if (url.username !== "" || url.password !== "") return "credentials belong into --header-env"
  if (url.hash !== "") return "a fragment reaches no server"
  // The addresses of a cloud's own services, which hand out its credentials.
  return /^(169\.254\.|\[fe[89ab])/i.test(url.hostname) ? "link-local addresses are refused" : undefined
}

const URL_HINT = "http://HOST:PORT/mcp, or /sse"
/** What the bridge sets itself. */
const OURS: ReadonlySet<string> = new Set([
  ...["accept", "connection", "content-length", "content-type", "host", "last-event-id", "mcp-method", "mcp-name"],
  ...["mcp-protocol-version", "mcp-session-id", "transfer-encoding"]
])
