/** The operator's webhook (cli §5): where events of the node are posted, and what could not be. */
import { Effect, Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as WebhookTarget from "../../protocol/webhook/WebhookTarget.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Render from "../Render.ts"
import * as Values from "../Values.ts"

const setWebhook: Command = {
  name: "set-webhook",
  usage: "<url>",
  summary: "Posts events of this node to a URL, now and after the next start",
  returns: "applied, webhook",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const url = yield* Effect.fromResult(Values.positional(setWebhook, input, 0))
    const target = WebhookTarget.parse(url)
    if (Result.isFailure(target)) return yield* CliError.invalidArgument(target.failure)
    return yield* apply("set-webhook", url, `webhook set: ${url}`)
  })
}

const clearWebhook: Command = {
  name: "clear-webhook",
  usage: "",
  summary: "Posts events of this node nowhere any more",
  returns: "applied, webhook",
  flags: [],
  run: () => apply("clear-webhook", "", "webhook cleared")
}

const status: Command = {
  name: "webhook status",
  usage: "",
  summary: "Where events are posted, how many waited, arrived or failed, and the file with the secret that signs them",
  returns: "url, waiting, delivered, failed, dead, lost, secret_file",
  flags: [],
  run: Effect.fnUntraced(function* () {
    const { home } = yield* ConfigFile.directory
    const told = yield* DaemonClient.once("webhook status", (client) => client.extension("webhook.status", {}))
    return output({ ...told, secret_file: `${home}/webhook.key` })
  })
}

const list: Command = {
  name: "webhook list",
  usage: "",
  summary: "Events that could not be posted, the oldest first",
  returns: "letters [id, event, url, attempts, reason, body]",
  flags: [],
  run: () =>
    Effect.map(
      DaemonClient.once("webhook list", (client) => client.extension("webhook.list", {})),
      (data) => output(data, letters(Json.objects(data, "letters")))
    )
}

const ALL: Flag = { name: "all", value: "boolean", summary: "every one of them" }

const retry: Command = {
  name: "webhook retry",
  usage: "[id]",
  summary: "Tries to post an event again that could not be posted",
  returns: "count",
  flags: [ALL],
  run: (input) => change(retry, input, "webhook.retry", "to be tried again")
}

const drop: Command = {
  name: "webhook drop",
  usage: "[id]",
  summary: "Forgets an event that could not be posted",
  returns: "count",
  flags: [ALL],
  run: (input) => change(drop, input, "webhook.drop", "forgotten")
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [setWebhook, clearWebhook, status, list, retry, drop]

/** Kept for the next start in any case; a daemon that does not run is no error. */
const apply = Effect.fnUntraced(function* (
  command: string,
  url: string,
  done: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const connected = yield* Effect.result(DaemonClient.connect)
  if (Result.isFailure(connected) && connected.failure.code !== "not_running") return yield* connected.failure
  const isApplied = Result.isSuccess(connected)
  if (isApplied) yield* DaemonClient.ask(command, connected.success.setWebhook(url))
  yield* ConfigFile.update({ webhook: url })
  const when = isApplied ? "applied to running daemon" : "will take effect on next daemon start"
  return output({ applied: isApplied, webhook: url }, `${done}\n${when}`)
})

const change = Effect.fnUntraced(function* (
  command: Command,
  input: Input,
  op: string,
  done: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const id = input.positionals[0]
  const isAll = Values.boolean(input, "all") === true
  if ((id === undefined) !== isAll)
    return yield* CliError.invalidArgument("name one event, or --all", "their ids: pilotctl webhook list")
  const data = yield* DaemonClient.once(command.name, (client) => client.extension(op, id === undefined ? {} : { id }))
  const count = Json.integer(data, "count")
  if (id !== undefined && count === 0)
    return yield* CliError.make("not_found", `no such event: ${id}`, "their ids: pilotctl webhook list")
  return output(data, `${count} ${done}`)
})

const letters = (rows: ReadonlyArray<Json.JsonObject>): string =>
  rows.length === 0
    ? "nothing was given up"
    : Render.table(
        COLUMNS,
        rows.map((row) => [
          Json.string(row, "id"),
          Json.string(row, "event"),
          String(Json.integer(row, "attempts")),
          Json.string(row, "reason")
        ])
      )

const COLUMNS = [
  ["ID", 32],
  ["EVENT", 24],
  ["TRIES", 5],
  ["REASON", 0]
] as const
