/** Commands about networks whose members let each other in (decision 77): the operator's, and those of a member. */
import { Clock, Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Command, type Environment, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as FingerprintFlag from "./FingerprintFlag.ts"
import * as LifeText from "./LifeText.ts"
import * as TrustText from "./TrustText.ts"

const create: Command = {
  name: "network create",
  usage: "<name> <file>",
  summary: "Makes a network: a key that says which nodes are its members, in a file to be kept by its operator",
  returns: "name, number, fingerprint, file",
  isStrict: true,
  flags: [{ name: "number", value: "number", summary: "as policies name it, 1 to 65535 (default: from the key)" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const name = yield* Effect.fromResult(Values.positional(create, input, 0))
    const path = yield* Effect.fromResult(Values.positional(create, input, 1))
    const number =
      Values.text(input, "number") === undefined
        ? undefined
        : yield* Effect.fromResult(Values.count(input, "number", 1))
    const { KeyFile, NetworkFile, NetworkToken } = yield* tools
    if (!NetworkToken.NAME.test(name))
      return yield* CliError.invalidArgument(`${name} is no name of a network`, "at most 32 of a-z, 0-9 and - inside")
    if (number !== undefined && number > 65_535) return yield* CliError.invalidArgument("--number is 1 to 65535")
    const made = yield* NetworkFile.create(path, name, number)
    const data = { name, number: made.number, fingerprint: KeyFile.fingerprintOf(made.key.publicKey), file: path }
    return output(
      data,
      `network ${name} (number ${data.number}), its key in ${path}: whoever has it says who is a member\n` +
        `  a token for a node: pilotctl network issue ${path} FINGERPRINT`
    )
  })
}

const issue: Command = {
  name: "network issue",
  usage: "<file> <fingerprint>…",
  summary: "A token for the node with that key; members of the network let it in without anybody there",
  returns: "token, name, number, member, expires_at",
  isStrict: true,
  flags: [{ name: "expires", value: "duration", summary: "how long it is good for: 24h, 30d (default 90d)" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { content, member, path } = yield* memberOf(issue, input)
    const { NetworkToken } = yield* tools
    const lifeSeconds = yield* LifeText.seconds(input, DEFAULT_LIFE)
    if (lifeSeconds > NetworkToken.LIFE_SECONDS_MAX)
      return yield* CliError.invalidArgument("a token must expire within a year")
    const { key, name, number, revoked } = content
    const now = yield* nowSeconds
    // Tokens issued until the revocation are void, and times are whole seconds.
    const revokedAt = revoked.find((row) => row.member === member)?.atSeconds ?? 0
    const issuedAtSeconds = Math.max(now, revokedAt + 1)
    const expiresAtSeconds = issuedAtSeconds + lifeSeconds
    const draft = { publicKey: key.publicKey, name, number, member, issuedAtSeconds, expiresAtSeconds }
    const token = NetworkToken.encode(NetworkToken.issue(draft, key.sign))
    yield* Terminal.note(
      input,
      "no secret: it is worth nothing without that node's key. There: pilotctl network join TOKEN"
    )
    yield* Terminal.note(input, `take it back: pilotctl network revoke ${path} ${member}`)
    return output({ token, name, number, member, expires_at: expiresAtSeconds }, token)
  })
}

const revoke: Command = {
  name: "network revoke",
  usage: "<file> <fingerprint>…",
  summary: "Takes back what was issued to a key until now; prints the list that ends its trust at every member",
  returns: "list, name, number, serial, revoked [fingerprint, at]",
  isStrict: true,
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { content, member, path } = yield* memberOf(revoke, input)
    const { NetworkFile, NetworkToken } = yield* tools
    const atSeconds = yield* nowSeconds
    // What was issued before them has expired anyway.
    const kept = content.revoked.filter(
      (row) => row.member !== member && row.atSeconds > atSeconds - NetworkToken.LIFE_SECONDS_MAX
    )
    const revoked = [...kept, { member, atSeconds }]
    if (revoked.length > NetworkToken.REVOKED_MAX)
      return yield* CliError.make(
        "invalid_state",
        `${NetworkToken.REVOKED_MAX} members are revoked already`,
        "make another network, and issue its tokens to those who stay"
      )
    const serial = content.serial + 1
    yield* NetworkFile.save(path, { ...content, serial, revoked })
    const { key, name, number } = content
    const list = NetworkToken.encodeRevocations(
      NetworkToken.revoke({ publicKey: key.publicKey, name, number, serial, revoked }, key.sign)
    )
    yield* Terminal.note(input, `give it to one member, which tells the others: pilotctl network update LIST`)
    const rows = revoked.map((row) => ({ fingerprint: row.member, at: row.atSeconds }))
    return output({ list, name, number, serial, revoked: rows }, list)
  })
}

const ROW = "name, number, fingerprint, expires_at, open, serial, revoked [fingerprint, at]"

const join: Command = {
  name: "network join",
  usage: "<token>",
  summary: "Takes a token issued to this node: it shows it to whom it asks for trust, and lets other members in",
  returns: ROW,
  isStrict: true,
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const token = yield* Effect.fromResult(Values.positional(join, input, 0))
    const { localOffsetMinutes } = yield* CliHost
    const row = yield* asked("network join", (client) => client.extension("network.join", { token }))
    return output(
      row,
      `in the network ${Json.string(row, "name")} until ${TrustText.time(row, "expires_at", localOffsetMinutes)}: ` +
        "its members come in here without anybody, and this node there"
    )
  })
}

const leave: Command = {
  name: "network leave",
  usage: "<name>",
  summary: "Forgets this node's token of a network; who came in by it stays trusted (pilotctl untrust ends that)",
  returns: "name",
  isStrict: true,
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const name = yield* Effect.fromResult(Values.positional(leave, input, 0))
    const reply = yield* asked("network leave", (client) => client.extension("network.leave", { name }))
    if (!Json.boolean(reply, "known"))
      return yield* CliError.make("not_found", `this node is in no network ${name}`, "pilotctl network list shows them")
    return output({ name }, `left the network ${name}`)
  })
}

const list: Command = {
  name: "network list",
  usage: "",
  summary: "The networks that this node is in",
  returns: `networks [${ROW}]`,
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { localOffsetMinutes } = yield* CliHost
    const reply = yield* asked("network list", (client) => client.extension("network.list", {}))
    const rows = Json.objects(reply, "networks")
    const lines = rows.map((row) => {
      const until = `until ${TrustText.time(row, "expires_at", localOffsetMinutes)}`
      const state = Json.boolean(row, "open") ? until : "ENDED: nobody comes in by it"
      const revoked = Json.objects(row, "revoked").length
      return `${Json.string(row, "name")}  number ${Json.integer(row, "number")}  ${Json.string(row, "fingerprint")}  ${state}, ${revoked} revoked`
    })
    return output(reply, rows.length === 0 ? "in no network\n  pilotctl network join TOKEN" : lines.join("\n"))
  })
}

const update: Command = {
  name: "network update",
  usage: "<list>",
  summary: "Takes a list of revoked members: their trust ends here, and other members are told",
  returns: "news",
  isStrict: true,
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(update, input, 0))
    const reply = yield* asked("network update", (client) => client.extension("network.update", { list: text }))
    return output(
      reply,
      Json.boolean(reply, "news") ? "taken, and passed on" : "nothing new: a list as new is held already"
    )
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [create, issue, revoke, join, leave, list, update]

/** What signs; loaded only where a command does so. */
const tools = Effect.promise(async () => ({
  KeyFile: await import("../KeyFile.ts"),
  NetworkFile: await import("./NetworkFile.ts"),
  NetworkToken: await import("../../protocol/trust/NetworkToken.ts")
}))

/** The network of the file, and the key that is meant: fingerprints have spaces when people copy them. */
const memberOf = Effect.fnUntraced(function* (command: Command, input: Input) {
  const path = yield* Effect.fromResult(Values.positional(command, input, 0))
  yield* Effect.fromResult(Values.positional(command, input, 1))
  const { NetworkFile } = yield* tools
  const member = yield* FingerprintFlag.parse(input.positionals.slice(1).join(""))
  return { content: yield* NetworkFile.read(path), member, path }
})

/** What the daemon refuses is what was typed. */
const asked = Effect.fnUntraced(function* (
  command: string,
  use: (client: DaemonClient.IpcClient) => Effect.Effect<Json.JsonObject, DaemonClient.IpcError>
): Effect.fn.Return<Json.JsonObject, CliError.CliError, Environment> {
  const client = yield* DaemonClient.connect
  return yield* Effect.mapError(use(client), (error) => {
    const refusal = error.reason === "Daemon" ? /^network\.[a-z]+: (.*)$/s.exec(error.detail) : null
    return refusal === null
      ? DaemonClient.failure(command, error)
      : CliError.invalidArgument(refusal[1]!, `see: pilotctl help ${command}`)
  })
})

const nowSeconds = Effect.map(Clock.currentTimeMillis, (ms) => Math.floor(ms / 1000))
const DEFAULT_LIFE = "90d"
