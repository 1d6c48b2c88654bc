/** Commands about who may come in without anybody here: invitations (decision 52) and listed keys. */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Daemon from "../daemon/daemon.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as FingerprintFlag from "./FingerprintFlag.ts"
import * as InviteText from "./InviteText.ts"
import * as LifeText from "./LifeText.ts"

const INVITE_FLAGS: ReadonlyArray<Flag> = [
  { name: "services", value: "text", placeholder: "names", summary: "exposed MCP services to open: files,notes" },
  { name: "expires", value: "duration", summary: "how long it is good for: 24h, 7d (default 24h)" },
  { name: "uses", value: "number", summary: "how many keys may come in with it (default 1)" },
  { name: "for", value: "text", placeholder: "fpr", summary: "the only key that may redeem it" },
  { name: "note", value: "text", summary: "for your own list" },
  { name: "rendezvous", value: "address", summary: "where others reach your rendezvous, if not where this node does" },
  { name: "beacon", value: "address", summary: "the same for its beacon (default: that host, this node's beacon port)" }
]

const invite: Command = {
  name: "invite",
  usage: "",
  summary: "One string that lets its holder in: trust both ways, and the services named",
  returns: "id, invitation, expires_at, registry",
  flags: INVITE_FLAGS,
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { localOffsetMinutes } = yield* CliHost
    const services = yield* servicesOf(input)
    const uses = yield* Effect.fromResult(Values.count(input, "uses", 1))
    const typed = Values.text(input, "for")
    const request = {
      services,
      uses,
      life_seconds: yield* LifeText.seconds(input, DEFAULT_LIFE),
      for: typed === undefined ? "" : yield* FingerprintFlag.parse(typed),
      note: Values.text(input, "note") ?? ""
    }
    const client = yield* DaemonClient.connect
    const place = yield* placeOf(client, input)
    const reply = yield* DaemonClient.ask("invite", client.extension("invite.create", { ...request, ...place }))
    for (const line of InviteText.made(reply, { uses, services }, localOffsetMinutes)) yield* Terminal.note(input, line)
    return output(reply, Json.string(reply, "invitation"))
  })
}

const inviteList: Command = {
  name: "invite list",
  usage: "",
  summary: "The invitations made here: what is open, what was used and by which key",
  returns: "invitations [id, state, uses, uses_max, expires_at, services, for, note, redeemed]",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { localOffsetMinutes } = yield* CliHost
    const reply = yield* DaemonClient.once("invite list", (client) => client.extension("invite.list", {}))
    return output(reply, InviteText.list(Json.objects(reply, "invitations"), localOffsetMinutes))
  })
}

const inviteRevoke: Command = {
  name: "invite revoke",
  usage: "<id>",
  summary: "Ends an invitation; who came in with it stays trusted (pilotctl untrust ends that)",
  returns: "id",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const id = yield* Effect.fromResult(Values.positional(inviteRevoke, input, 0))
    const reply = yield* DaemonClient.once("invite revoke", (client) => client.extension("invite.revoke", { id }))
    if (!Json.boolean(reply, "known"))
      return yield* CliError.make("not_found", `no invitation ${id}`, "pilotctl invite list shows them")
    return output({ id }, `invitation ${id} revoked`)
  })
}

const redeemAs = (name: string): Command => {
  const command: Command = {
    name,
    usage: "<invitation|->…",
    summary: "Redeems an invitation: joins its rendezvous if this node has none, and both trust each other",
    returns: "node_id, address, hostname, fingerprint, status (trusted or already_trusted), services",
    flags: [
      { name: "timeout", value: "duration", summary: "how long to wait for the answer (default 30s)" },
      { name: "message", value: "text", placeholder: "msg", summary: "for the person who invited" },
      { name: "hostname", value: "text", placeholder: "name", summary: "name of this node, if it is started now" }
    ],
    isStrict: true,
    run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
      yield* Effect.fromResult(Values.positional(command, input, 0))
      const start = Daemon.commands.find((row) => row.name === "daemon start")!
      const redeem = yield* Effect.promise(() => import("./Redeem.ts"))
      return yield* redeem.run(input, start.run)
    })
  }
  return command
}

const allowKey: Command = {
  name: "trust allow-key",
  usage: "<fingerprint>…",
  summary: "Lets the key with this fingerprint in as soon as it asks, without anybody here",
  returns: "fingerprint",
  flags: [{ name: "note", value: "text", summary: "for your own list" }],
  isStrict: true,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const fingerprint = yield* fingerprintOf(allowKey, input)
    const request = { fingerprint, note: Values.text(input, "note") ?? "" }
    const reply = yield* DaemonClient.once(allowKey.name, (client) => client.extension("trust.allow_key", request))
    return output(reply, `the key ${fingerprint} comes in when it asks`)
  })
}

const disallowKey: Command = {
  name: "trust disallow-key",
  usage: "<fingerprint>…",
  summary: "Takes a key from that list; a trust that it has stays (pilotctl untrust ends that)",
  returns: "fingerprint",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const fingerprint = yield* fingerprintOf(disallowKey, input)
    const ask = (client: DaemonClient.IpcClient) => client.extension("trust.disallow_key", { fingerprint })
    const reply = yield* DaemonClient.once(disallowKey.name, ask)
    if (!Json.boolean(reply, "known")) return yield* CliError.make("not_found", `the key ${fingerprint} is not listed`)
    return output({ fingerprint }, `the key ${fingerprint} waits for a person again`)
  })
}

const allowedKeys: Command = {
  name: "trust allowed-keys",
  usage: "",
  summary: "The keys that come in as soon as they ask",
  returns: "allowed_keys [fingerprint, note, allowed_at]",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const reply = yield* DaemonClient.once("trust allowed-keys", (client) => client.extension("trust.allowed_keys", {}))
    return output(reply, InviteText.allowedKeys(Json.objects(reply, "allowed_keys")))
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [
  invite,
  inviteList,
  inviteRevoke,
  redeemAs("redeem"),
  redeemAs("trust redeem"),
  allowKey,
  disallowKey,
  allowedKeys
]

/** Fingerprints have spaces when people copy them. */
const fingerprintOf = Effect.fnUntraced(function* (command: Command, input: Input) {
  yield* Effect.fromResult(Values.positional(command, input, 0))
  return yield* FingerprintFlag.parse(input.positionals.join(""))
})

/** Only what is exposed now can be promised: a later service of the same name would be another. */
const servicesOf = Effect.fnUntraced(function* (input: Input) {
  const named = Values.texts(input, "services").flatMap((text) => text.split(","))
  const services = [...new Set(named.map((name) => name.trim()).filter((name) => name !== ""))]
  if (services.length === 0) return services
  const { status } = yield* Effect.promise(() => import("../mcp/KeeperClient.ts"))
  const state = yield* status
  const exposed = new Set((state?.services ?? []).flatMap((service) => ("program" in service ? [] : [service.name])))
  const missing = services.find((name) => !exposed.has(name))
  if (missing !== undefined)
    return yield* CliError.make(
      "not_found",
      `no service ${JSON.stringify(missing)} is exposed on this node`,
      `expose it first: pilotctl mcp expose ${missing} -- COMMAND`
    )
  return services
})

/** As others reach it: a beacon usually stands beside its registry. */
const placeOf = Effect.fnUntraced(function* (client: DaemonClient.IpcClient, input: Input) {
  const registry = Values.text(input, "rendezvous") ?? ""
  const beacon = Values.text(input, "beacon") ?? ""
  const wrong = [registry, beacon].find((text) => text !== "" && !HOST_AND_PORT.test(text))
  if (wrong !== undefined) return yield* CliError.invalidArgument(`invalid address "${wrong}"`, "HOST:PORT is wanted")
  if (registry === "" || beacon !== "") return { registry, beacon }
  const own = yield* DaemonClient.ask("invite", client.extension("rendezvous", {}))
  const [host, port] = [registry.slice(0, registry.lastIndexOf(":")), Json.string(own, "beacon").split(":").at(-1)]
  return { registry, beacon: `${host}:${port}` }
})

const DEFAULT_LIFE = "24h"
const HOST_AND_PORT = /^(?:[^\s:[\]]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$/
