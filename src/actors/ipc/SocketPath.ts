/** Where the daemon's socket is (architecture, decision 8; node §1.1): one place to listen, several places to look. */

/** What decides: the environment, the state directory, and the configuration file's `socket` if it has one. */
export interface Options {
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** `PILOT_HOME` was set: only that directory counts, so that several nodes on one host do not meet. */
  readonly isHomeExplicit: boolean
  readonly configured: string | undefined
}

/** The one path where a daemon listens. */
export const listening = (options: Options): string => candidates(options)[0]!

/**
 * The paths where a client looks, in order. A path that somebody chose is the only one; otherwise the runtime
 * directory, the state directory, and last the reference's path, which is believed only if its owner is the user.
 */
export const candidates = ({
  variables,
  home,
  isHomeExplicit,
  configured
}: Options): readonly [string, ...Array<string>] => {
  const { PILOT_SOCKET, XDG_RUNTIME_DIR } = variables
  const chosen = nonEmpty(PILOT_SOCKET) ?? nonEmpty(configured)
  if (chosen !== undefined) return [chosen]
  const own = `${home}/${NAME}`
  if (isHomeExplicit) return [own]
  const runtime = nonEmpty(XDG_RUNTIME_DIR)
  return runtime === undefined ? [own, COMPATIBLE] : [`${runtime}/${NAME}`, own, COMPATIBLE]
}

/** Longer paths cannot be bound: `sun_path` holds 108 bytes with its terminator (Linux; others hold fewer). */
export const isTooLong = (path: string): boolean => new TextEncoder().encode(path).length > BYTES_MAX

/** The reference's path, served with `--compat-socket`. */
export const COMPATIBLE = "/tmp/pilot.sock"
/** The longest path in bytes. */
export const BYTES_MAX = 107

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text)
const NAME = "pilot.sock"
