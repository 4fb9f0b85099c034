select rowferry.version() >= 4, 'version() says 4 or more';
