// Chooses dark or light before the first paint; views/theme.js changes it later. Its own file: inline script is forbidden.
(function () {
	let chosen = null;
	try {
		chosen = localStorage.getItem('ollachat-theme');
	} catch { /* storage is switched off: follow the system */ }
	const dark = matchMedia('(prefers-color-scheme: dark)').matches;
	document.documentElement.dataset.theme = chosen === 'dark' || chosen === 'light' ? chosen : dark ? 'dark' : 'light';
})();
