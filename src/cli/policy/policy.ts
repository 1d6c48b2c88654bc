/** `pilotctl policy`: what peers may do at this node, beyond what was exposed to them (`docs/policy.md`). */
import { Effect, FileSystem, Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Values from "../Values.ts"
import * as PolicyQuestion from "./PolicyQuestion.ts"
import * as PolicyRows from "./PolicyRows.ts"

type Run = Effect.Effect<Output, CliError.CliError, Environment>

const check: Command = {
  name: "policy check",
  usage: "[file]",
  summary: "Whether a policy file is right, by default the one of this node; says line and reason if not",
  returns: "path, rules, default; else the error invalid_argument with line and column",
  flags: [],
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const path = input.positionals[0] ?? (yield* place)
    const { policy } = yield* readPolicy(path)
    const kind = policy.isDefaultNothing ? "nothing" : "exposed"
    return output(
      { path, rules: policy.rules.length, default: kind },
      `${path}: right, ${policy.rules.length} rules, default ${kind}`
    )
  })
}

const show: Command = {
  name: "policy show",
  usage: "",
  summary: "The rules in the policy file of this node, one a line",
  returns: "path, default, rules [name, effect, who, except, what, limit, from, until, hours]",
  flags: [],
  isStrict: true,
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const path = yield* place
    const { policy } = yield* readPolicy(path)
    const data = PolicyRows.of(path, policy)
    return output(data, PolicyRows.text(data))
  })
}

const init: Command = {
  name: "policy init",
  usage: "",
  summary: "Writes a policy file that changes nothing and shows in comments what can be said",
  returns: "path",
  flags: [],
  isStrict: true,
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const files = yield* FileSystem.FileSystem
    const path = yield* place
    if (yield* Effect.orElseSucceed(files.exists(path), () => false))
      return yield* CliError.make("already_exists", `${path} is there already`)
    yield* Effect.flatMap(ConfigFile.directory, ({ home }) => ConfigFile.makeHome(home))
    const { EXAMPLE } = yield* Effect.promise(() => import("./PolicyExample.ts"))
    yield* Effect.mapError(AtomicFile.write(path, EXAMPLE, { mode: AtomicFile.OWNER_ONLY }), ({ message }) =>
      CliError.make("internal", `cannot write ${path}: ${message}`)
    )
    return output({ path }, `${path} written; edit it, then: pilotctl policy check`)
  })
}

const status: Command = {
  name: "policy status",
  usage: "",
  summary: "What is in force, how often it was asked, and why the file is not in force if it is wrong",
  returns:
    "path, file, revision, rules, default, loaded_at, asked, denied, limited, granted, problem [line, column, detail]",
  flags: [],
  isStrict: true,
  run: () => asked("policy.status")
}

const reload: Command = {
  name: "policy reload",
  usage: "",
  summary: "Looks at the policy file now; a wrong one is refused and the policy before stays in force",
  returns: "as policy status",
  flags: [],
  isStrict: true,
  run: () => asked("policy.reload")
}

const schema: Command = {
  name: "policy schema",
  usage: "",
  summary: "The JSON schema of policy files, for editors",
  returns: "the schema",
  flags: [],
  isStrict: true,
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output> {
    const { make } = yield* Effect.promise(() => import("../../protocol/policy/PolicySchema.ts"))
    return output(make(), JSON.stringify(make(), undefined, 2))
  })
}

const TEST_FLAGS: ReadonlyArray<Flag> = [
  {
    name: "as",
    value: "text",
    placeholder: "peer|key",
    summary: "who asks: a node, or a fingerprint",
    isRequired: true
  },
  {
    name: "service",
    value: "text",
    placeholder: "what",
    summary:
      "what for: port/8080, messages, files/pull/SHARE/PATH, events/publish/TOPIC, tasks/KIND, mcp/SERVER/TOOL, …",
    isRequired: true
  },
  { name: "arg", value: "text", placeholder: "name=value", summary: "an argument of the tool", repeats: true },
  { name: "file", value: "path", summary: "another policy than the one in force" },
  { name: "exposed", value: "boolean", summary: "taken for exposed to the peer, whether it is or not" }
]

const test: Command = {
  name: "policy test",
  usage: "",
  summary: "Whether a peer may do something now, by which rule, why, and what is left of its limits",
  returns:
    "allowed, reason, what, exposed, trusted, fingerprint, names, network, rule, rule_number, limits [rule, requests, bytes, concurrent]",
  flags: TEST_FLAGS,
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const [who, service] = [Values.text(input, "as"), Values.text(input, "service")]
    if (who === undefined || service === undefined) return yield* Values.missing(test)
    const client = yield* DaemonClient.connect
    const subject = yield* whoOf(client, input, who)
    const question = yield* PolicyQuestion.of(service, Values.texts(input, "arg"))
    const path = Values.text(input, "file")
    const other = path === undefined ? {} : { policy: (yield* readPolicy(path)).text ?? "" }
    const isExposed = Values.boolean(input, "exposed") ?? (yield* PolicyQuestion.exposure(question, subject.publicKey))
    const data = yield* DaemonClient.ask(
      "policy test",
      client.extension("policy.test", {
        ...question,
        ...other,
        ...subject.asked,
        ...(isExposed === undefined ? {} : { exposed: isExposed })
      })
    )
    return { ...output(data, PolicyRows.decision(data)), exitCode: Json.boolean(data, "allowed") ? 0 : 1 }
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [status, show, check, test, init, reload, schema]

const place = Effect.map(ConfigFile.directory, ({ home }) => `${home}/policy.jsonc`)

const readPolicy = (path: string) =>
  Effect.gen(function* () {
    const source = yield* Effect.promise(() => import("../../actors/policy/PolicySource.ts"))
    const loaded = yield* Effect.mapError(source.load(path), (problem) =>
      CliError.invalidArgument(`${path}, ${problem.message}`)
    )
    if (loaded.text === undefined)
      return yield* CliError.make("not_found", `there is no ${path}`, "write one with: pilotctl policy init")
    return loaded
  })

const asked = (op: "policy.status" | "policy.reload"): Run =>
  Effect.gen(function* () {
    const client = yield* DaemonClient.connect
    const reply = yield* Effect.result(client.extension(op, {}))
    if (Result.isSuccess(reply)) return output(reply.success, PolicyRows.status(reply.success))
    const { detail } = reply.failure
    if (!detail.startsWith("policy.reload: ")) return yield* DaemonClient.failure(op.replace(".", " "), reply.failure)
    return yield* CliError.invalidArgument(
      detail.slice("policy.reload: ".length),
      "the policy before stays in force; pilotctl policy check looks again"
    )
  })

/** A fingerprint stands for a trusted peer with that key; all else is a node that this one knows. */
const whoOf = Effect.fnUntraced(function* (client: DaemonClient.IpcClient, input: Input, who: string) {
  const fingerprint = Fingerprint.parse(who)
  if (fingerprint !== undefined) return { asked: { fingerprint }, node: undefined, publicKey: undefined }
  const { node } = yield* DaemonClient.target(client, input, who)
  const keys = yield* DaemonClient.ask("policy test", client.extension("trust.keys", {}))
  const row = Json.objects(keys, "trusted").find((one) => Json.unsigned(one, "node_id", 32) === node)
  const publicKey = row === undefined ? undefined : Json.string(row, "public_key")
  return { asked: { node }, node, publicKey }
})
