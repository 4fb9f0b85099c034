select rowferry._note_release();
