/** Every command there is. Groups add their rows here; help and `context` follow. */
import { Effect } from "effect"
import { CliHost } from "./CliHost.ts"
import { type Command, output } from "./Command.ts"
import * as Daemon from "./daemon/daemon.ts"
import * as Node from "./daemon/node.ts"
import * as Registration from "./daemon/registration.ts"
import * as Setup from "./daemon/setup.ts"
import * as Gateway from "./gateway/gateway.ts"
import * as Help from "./Help.ts"
import * as Identity from "./identity/identity.ts"
import * as Keys from "./identity/keys.ts"
import * as Mcp from "./mcp/mcp.ts"
import * as Measure from "./path/measure.ts"
import * as Netcheck from "./path/netcheck.ts"
import * as Why from "./path/why.ts"
import * as Audit from "./policy/audit.ts"
import * as Policy from "./policy/policy.ts"
import * as Rendezvous from "./rendezvous/rendezvous.ts"
import * as RendezvousMemberships from "./rendezvous/rendezvousMemberships.ts"
import * as Connect from "./talk/connect.ts"
import * as Datagrams from "./talk/datagrams.ts"
import * as Events from "./talk/events.ts"
import * as Exchange from "./talk/exchange.ts"
import * as Files from "./talk/files.ts"
import * as Talk from "./talk/talk.ts"
import * as Webhook from "./talk/webhook.ts"
import * as Task from "./task/task.ts"
import * as Invite from "./trust/invite.ts"
import * as Network from "./trust/network.ts"
import * as Trust from "./trust/trust.ts"

const context: Command = {
  name: "context",
  usage: "",
  summary: "This list for programs: commands, flags, error codes, environment",
  returns: "version, commands, error_codes, global_flags, environment, config_file",
  flags: [],
  run: () => Effect.sync(() => output(Help.context(COMMANDS)))
}

const version: Command = {
  name: "version",
  usage: "",
  summary: "The version of this program",
  returns: "version",
  flags: [],
  run: () => Effect.map(CliHost, (host) => output({ version: host.version }, `pilotctl ${host.version}`))
}

/** The table that the command line is parsed with. */
export const COMMANDS: ReadonlyArray<Command> = [
  ...Daemon.commands,
  ...Rendezvous.commands,
  ...RendezvousMemberships.commands,
  ...Node.commands,
  ...Trust.commands,
  ...Invite.commands,
  ...Network.commands,
  ...Identity.commands,
  ...Registration.commands,
  ...Connect.commands,
  ...Keys.commands,
  ...Policy.commands,
  ...Audit.commands,
  ...Talk.commands,
  ...Datagrams.commands,
  ...Measure.commands,
  ...Netcheck.commands,
  ...Why.commands,
  ...Gateway.commands,
  ...Exchange.commands,
  ...Files.commands,
  ...Events.commands,
  ...Webhook.commands,
  ...Task.commands,
  ...Mcp.commands,
  ...Setup.commands,
  context,
  version
]
