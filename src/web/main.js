// Where the page begins: reads the settings, makes the store and its helpers, and hands them to the views.

import { Api, loadConfig } from './api.js';
import { Chat } from './chat.js';
import { byId } from './dom.js';
import { Models } from './models.js';
import { KEYS, readText } from './storage.js';
import { Store } from './store.js';
import { mountAbout } from './views/about.js';
import { mountComposer } from './views/composer.js';
import { mountDrawer } from './views/drawer.js';
import { createKeyDialog } from './views/key.js';
import { mountNotices } from './views/notices.js';
import { mountPicker } from './views/picker.js';
import { mountSidebar } from './views/sidebar.js';
import { mountTheme } from './views/theme.js';
import { mountThread } from './views/thread.js';
import { mountWelcome } from './views/welcome.js';

/** The address names the open chat (#/ID), so that reload, back and forward lead where one expects. */
function mountAddress(store) {
	const wanted = () => decodeURIComponent(/^#\/(.+)$/.exec(location.hash)?.[1] ?? '') || null;
	const show = () => {
		const title = store.active?.title;
		document.title = title ? `${title} – Ollachat` : 'Ollachat';
		byId('chat-title').textContent = title ?? 'New chat';
	};
	store.open(wanted());
	show();
	store.subscribe('list', show);
	store.subscribe('active', () => {
		show();
		if (wanted() === store.activeId) return;
		history.pushState(null, '', store.activeId ? `#/${encodeURIComponent(store.activeId)}` : location.pathname);
	});
	window.addEventListener('popstate', () => store.open(wanted()));
}

async function start() {
	const config = await loadConfig();
	const store = new Store();
	const api = new Api({
		base: config.base,
		getKey: () => readText(KEYS.apiKey),
		onInstance: (instance) => {
			store.instance = instance;
		},
	});
	const askForKey = createKeyDialog();
	const chat = new Chat(store, api, askForKey);
	const models = new Models(store, api, askForKey);

	mountAddress(store);
	mountTheme();
	const drawer = mountDrawer();
	const composer = mountComposer(store, chat);
	mountSidebar(store, chat, drawer, composer);
	mountPicker(store, models);
	mountNotices(store, models);
	mountWelcome(store, composer);
	mountThread(store, chat, composer);
	mountAbout(store, config.version);
	models.load();
}

start();
