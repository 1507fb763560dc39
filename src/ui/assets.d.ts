/** Style sheets are bundled beside the code that names them. */
declare module '*.css'
