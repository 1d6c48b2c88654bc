/** The real surroundings of a command. */
import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import process from "node:process"
import { Layer } from "effect"
import { VERSION } from "../api/Version.ts"
import { CliHost } from "./CliHost.ts"
import * as NodeSecretPrompt from "./NodeSecretPrompt.ts"

/** Reads environment, user and program once. */
export const layer: Layer.Layer<CliHost> = Layer.sync(CliHost, () => {
  const effectiveUid = process.geteuid?.() ?? 0
  const asked = askedBy(effectiveUid)
  return {
    variables: process.env,
    ...asked,
    effectiveUid,
    nodePath: process.execPath,
    programPath: process.argv[1] ?? "",
    nodeOptions: process.execArgv,
    version: VERSION,
    platform: process.platform,
    forgetVariable: (name) => {
      delete process.env[name]
    },
    askSecret: NodeSecretPrompt.ask,
    // Not through `Intl`, whose start costs more than a short command.
    localOffsetMinutes: (epochMs) => -new Date(epochMs).getTimezoneOffset()
  }
})

/** Under `sudo` the commands of a user are about that user's node, not about root's (architecture, decision 8). */
const askedBy = (effectiveUid: number): { readonly uid: number; readonly homeDirectory: string } => {
  const { HOME, SUDO_UID } = process.env
  const own = { uid: process.getuid?.() ?? 0, homeDirectory: HOME === undefined || HOME === "" ? homedir() : HOME }
  if (effectiveUid !== 0 || SUDO_UID === undefined || !/^\d{1,10}$/.test(SUDO_UID)) return own
  const homeDirectory = homeOf(SUDO_UID)
  return homeDirectory === undefined ? own : { uid: Number(SUDO_UID), homeDirectory }
}

const homeOf = (uid: string): string | undefined => {
  const entry = readOr("/etc/passwd", "")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === uid)
  return entry?.[5]
}

const readOr = (path: string, orElse: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return orElse
  }
}
