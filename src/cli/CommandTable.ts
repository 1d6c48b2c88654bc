/** Every command there is. Groups add their rows here; help and `context` follow. */
import { Effect } from "effect"
import * as Audit from "./audit.ts"
import { CliHost } from "./CliHost.ts"
import { type Command, output } from "./Command.ts"
import * as Connect from "./connect.ts"
import * as Daemon from "./daemon.ts"
import * as Datagrams from "./datagrams.ts"
import * as Events from "./events.ts"
import * as Exchange from "./exchange.ts"
import * as Files from "./files.ts"
import * as Gateway from "./gateway.ts"
import * as Help from "./Help.ts"
import * as Identity from "./identity.ts"
import * as Invite from "./invite.ts"
import * as Keys from "./keys.ts"
import * as Mcp from "./mcp.ts"
import * as Measure from "./measure.ts"
import * as Netcheck from "./netcheck.ts"
import * as Network from "./network.ts"
import * as Node from "./node.ts"
import * as Policy from "./policy.ts"
import * as Registration from "./registration.ts"
import * as Rendezvous from "./rendezvous.ts"
import * as RendezvousMemberships from "./rendezvousMemberships.ts"
import * as Setup from "./setup.ts"
import * as Talk from "./talk.ts"
import * as Task from "./task.ts"
import * as Trust from "./trust.ts"
import * as Webhook from "./webhook.ts"
import * as Why from "./why.ts"

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
