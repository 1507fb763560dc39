/** Name of the distribution that people install from the release. (On the public index it belongs to somebody else.) The package is imported as `fabra`. */
export const PYTHON_DISTRIBUTION = 'fabra-ai'
