/** The version of this program; a test keeps it equal to that of the package. */
export const VERSION = "0.1.0"
