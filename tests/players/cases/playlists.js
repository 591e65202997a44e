export async function playlistsParse() {}
